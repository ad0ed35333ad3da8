// The official packages `openai` and `@anthropic-ai/sdk` against a server: clients.mjs URL
import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const url = process.argv[2];
const text = "Hello, wörld! How can I help?";
const messages = [{ role: "user", content: "hi" }];
const weather = { type: "object", properties: { city: { type: "string" } } };

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "x", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "x", maxRetries: 0 });

for (const kind of ["anthropic", "gemini", "ollama", "openai"]) {
  const model = `${kind}/plain`;
  const plain = await openai.chat.completions.create({ model, messages });
  assert.equal(plain.choices[0].message.content, text, kind);

  let streamed = "";
  for await (const chunk of await openai.chat.completions.create({ model, messages, stream: true })) {
    streamed += chunk.choices[0].delta.content ?? "";
  }
  assert.equal(streamed, text, kind);

  const response = await openai.responses.stream({ model, input: "hi" }).finalResponse();
  assert.equal(response.output_text, text, kind);

  const message = await anthropic.messages.stream({ model, max_tokens: 9, messages }).finalMessage();
  assert.equal(message.content[0].text, text, kind);

  const tools = [{ name: "get_weather", input_schema: weather }];
  const called = await anthropic.messages
    .stream({ model: `${kind}/tools`, max_tokens: 9, messages, tools })
    .finalMessage();
  assert.deepEqual(called.content.map((block) => block.input), [{ city: "Paris" }, {}], kind);

  await assert.rejects(async () => {
    const stream = await openai.chat.completions.create({ model: `${kind}/cut`, messages, stream: true });
    for await (const _ of stream);
  }, kind);
}

const embedded = await openai.embeddings.create({ model: "static-minilm", input: "a boat" });
assert.equal(embedded.data[0].embedding.length, 256);
await assert.rejects(openai.chat.completions.create({ model: "nobody", messages }), OpenAI.NotFoundError);
