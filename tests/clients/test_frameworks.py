"""LangChain and LiteLLM, each with its clients of the three APIs."""

import json
import unittest

import litellm
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from expected import CALLS, KINDS, NOTHING, RESULTS, TEXT, URL, WEATHER

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time", "description": "d", "parameters": NOTHING}},
]


def models(name: str) -> list:
    return [
        ChatOpenAI(model=name, base_url=f"{URL}/v1", api_key="x", max_retries=0),
        ChatOpenAI(model=name, base_url=f"{URL}/v1", api_key="x", max_retries=0, use_responses_api=True),
        ChatAnthropic(model=name, base_url=URL, api_key="x", max_tokens=99, max_retries=0),
        ChatOllama(model=name, base_url=URL),
    ]


class LangChain(unittest.TestCase):
    def test_plain_and_stream(self) -> None:
        for kind in KINDS:
            for model in models(f"{kind}/plain"):
                with self.subTest(kind, model=type(model).__name__):
                    self.assertEqual(model.invoke("hi").text, TEXT)
                    streamed = None
                    for chunk in model.stream("hi"):
                        streamed = chunk if streamed is None else streamed + chunk
                    self.assertEqual(streamed.text, TEXT)

    def test_tools(self) -> None:
        for kind in KINDS:
            plain = models(f"{kind}/plain")
            for model, next_model in zip(models(f"{kind}/tools"), plain, strict=True):
                with self.subTest(kind, model=type(model).__name__):
                    answer = model.bind_tools(TOOLS).invoke("hi")
                    found = [(call["name"], call["args"]) for call in answer.tool_calls]
                    self.assertEqual(found, CALLS)
                    results = [
                        ToolMessage(RESULTS[call["name"]], tool_call_id=call["id"], name=call["name"])
                        for call in answer.tool_calls
                    ]
                    messages = [HumanMessage("hi"), answer, *results]
                    self.assertEqual(next_model.bind_tools(TOOLS).invoke(messages).text, TEXT)

    def test_token_arrays(self) -> None:
        client = OpenAIEmbeddings(
            model="static-minilm", base_url=f"{URL}/v1", api_key="x", check_embedding_ctx_length=False
        )
        self.assertEqual(len(client.embed_documents(["a boat", "a ship"])), 2)


class LiteLlm(unittest.TestCase):
    # Its name of each API, and where that is.
    APIS = (("openai", f"{URL}/v1"), ("anthropic", URL), ("ollama_chat", URL))

    def test_plain_and_stream(self) -> None:
        for kind in KINDS:
            for api, base in self.APIS:
                with self.subTest(kind, api=api):
                    asked = {
                        "model": f"{api}/{kind}/plain", "api_base": base, "api_key": "x", "max_tokens": 99,
                        "messages": [{"role": "user", "content": "hi"}],
                    }
                    answer = litellm.completion(**asked)
                    self.assertEqual(answer.choices[0].message.content, TEXT)
                    self.assertEqual(answer.usage.completion_tokens, 10)
                    pieces = litellm.completion(**asked, stream=True)
                    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
                    self.assertEqual(text, TEXT)

    def test_tools(self) -> None:
        for kind in KINDS:
            for api, base in self.APIS:
                with self.subTest(kind, api=api):
                    answer = litellm.completion(
                        model=f"{api}/{kind}/tools", api_base=base, api_key="x", max_tokens=99, tools=TOOLS,
                        messages=[{"role": "user", "content": "hi"}],
                    )
                    calls = answer.choices[0].message.tool_calls
                    found = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
                    self.assertEqual(found, CALLS)
