"use strict";
// The chat playground: asks the served API and writes down what streams in. What models and passages say is only ever set
// as text.
(() => {
  const form = document.getElementById("chat");
  const log = document.getElementById("log");
  const state = document.getElementById("state");
  const send = document.getElementById("send");
  const stop = document.getElementById("stop");
  const message = document.getElementById("message");
  let messages = [];
  let running = null;
  let answers = 0;

  function add(parent, name, className, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function turn(role, text) {
    log.querySelector(".empty")?.remove();
    const element = add(log, "article", "turn " + role);
    add(element, "h2", "who", role);
    return { element, text: add(element, "p", "text", text) };
  }

  function follow() {
    log.scrollTop = log.scrollHeight;
  }

  function body() {
    const fields = new FormData(form);
    const said = [...messages];
    const system = fields.get("system").trim();
    if (system) said.unshift({ role: "system", content: system });
    const asked = { messages: said, stream: true, stream_options: { include_usage: true } };
    if (fields.get("model")) asked.model = fields.get("model");
    if (fields.get("collection")) {
      asked.retrieval = { collection: fields.get("collection") };
      if (fields.get("k")) asked.retrieval.k = Number(fields.get("k"));
      if (fields.get("role").trim()) asked.retrieval.role = fields.get("role").trim();
    }
    return asked;
  }

  // Reads the events of a stream one by one.
  async function* events(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      let end;
      while ((end = rest.indexOf("\n\n")) >= 0) {
        const event = rest.slice(0, end);
        rest = rest.slice(end + 2);
        const data = event.split("\n").filter((line) => line.startsWith("data:"));
        if (data.length) yield data.map((line) => line.slice(5).trimStart()).join("\n");
      }
    }
  }

  function cite(shown, citations) {
    if (!citations.length) return;
    answers += 1;
    const known = new Map();
    const list = add(shown.element, "ol", "citations");
    list.setAttribute("aria-label", "Citations");
    for (const citation of citations) {
      if (known.has(citation.index)) continue;
      const item = add(list, "li");
      item.id = `cite-${answers}-${citation.index}`;
      item.value = citation.index;
      known.set(citation.index, item.id);
      const link = add(item, "a", "", citation.id);
      link.href = `/console/collections/${encodeURIComponent(citation.collection)}/points/${encodeURIComponent(citation.id)}`;
      add(item, "span", "of", ` in ${citation.collection}`);
      if (citation.quote) add(item, "q", "quote", citation.quote);
    }
    // The marks in the text lead to the list.
    const parts = shown.text.textContent.split(/(\[\d+\])/);
    shown.text.textContent = "";
    for (const part of parts) {
      const mark = /^\[(\d+)\]$/.exec(part);
      const id = mark && known.get(Number(mark[1]));
      if (id) add(shown.text, "a", "mark", part).href = `#${id}`;
      else shown.text.append(part);
    }
  }

  function problem(shown, text) {
    add(shown.element, "p", "alert", text).setAttribute("role", "alert");
  }

  async function refusal(reply) {
    const text = await reply.text();
    try {
      return JSON.parse(text).error.message;
    } catch {
      return text.slice(0, 500) || `status ${reply.status}`;
    }
  }

  async function ask() {
    const started = performance.now();
    const shown = turn("assistant", "");
    let answer = "";
    let reasoning = null;
    let citations = [];
    let usage = null;
    let id = "";
    let first = 0;
    let failed = false;
    running = new AbortController();
    send.disabled = true;
    stop.disabled = false;
    state.textContent = "Waiting for the answer.";
    try {
      const reply = await fetch("/v1/chat/completions", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body()),
        signal: running.signal,
      });
      if (!reply.ok) throw new Error(await refusal(reply));
      for await (const data of events(reply.body)) {
        if (data === "[DONE]") break;
        const piece = JSON.parse(data);
        if (piece.error) throw new Error(piece.error.message);
        id = piece.id || id;
        usage = piece.usage || usage;
        const delta = piece.choices?.[0]?.delta ?? {};
        if (delta.reasoning_content) {
          if (!reasoning) {
            const details = document.createElement("details");
            add(details, "summary", "", "Reasoning");
            reasoning = add(details, "p", "text", "");
            shown.element.insertBefore(details, shown.text);
          }
          reasoning.textContent += delta.reasoning_content;
        }
        const text = (delta.content ?? "") + (delta.refusal ?? "");
        if (text) {
          first ||= performance.now() - started;
          answer += text;
          shown.text.textContent = answer;
        }
        for (const call of delta.tool_calls ?? []) {
          add(shown.element, "pre", "code", JSON.stringify(call));
        }
        citations = citations.concat(delta.annotations ?? []);
        follow();
      }
    } catch (error) {
      failed = true;
      if (error.name === "AbortError") add(shown.element, "p", "note", "Stopped.");
      else problem(shown, error.message);
    }
    cite(shown, citations);
    if (id) {
      const told = add(shown.element, "p", "note");
      const took = Math.round(performance.now() - started);
      const parts = [`${took} ms`];
      if (first) parts.push(`first words after ${Math.round(first)} ms`);
      if (usage) parts.push(`${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written`);
      told.append(parts.join(" · ") + " · ");
      add(told, "a", "", "evidence").href = `/console/evidence?id=${encodeURIComponent(id)}`;
    }
    // A part of an answer is no turn of the conversation that goes on.
    if (failed) messages.pop();
    else messages.push({ role: "assistant", content: answer });
    state.textContent = failed ? "" : "The answer is there.";
    running = null;
    send.disabled = false;
    stop.disabled = true;
    follow();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = message.value.trim();
    if (running || !text) return;
    messages.push({ role: "user", content: text });
    turn("user", text);
    message.value = "";
    message.focus();
    ask();
  });
  message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  stop.addEventListener("click", () => running?.abort());
  document.getElementById("anew").addEventListener("click", () => {
    running?.abort();
    messages = [];
    log.replaceChildren();
    add(log, "p", "empty", "A new conversation.");
    state.textContent = "";
    message.focus();
  });
})();
