"""The official `ollama` package: chat, generate, embeddings, the list of models, errors."""

import unittest

import ollama

from expected import CALLS, KINDS, NOTHING, RESULTS, TEXT, URL, WEATHER

CLIENT = ollama.Client(host=URL)
USER = [{"role": "user", "content": "hi"}]
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time", "description": "d", "parameters": NOTHING}},
]


class Ollama(unittest.TestCase):
    def test_plain(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                answer = CLIENT.chat(model=f"{kind}/plain", messages=USER, options={"num_ctx": 4096})
                self.assertEqual(answer.message.content, TEXT)
                self.assertTrue(answer.done)
                self.assertEqual((answer.prompt_eval_count, answer.eval_count), (19, 10))
                answer = CLIENT.generate(model=f"{kind}/plain", prompt="hi", system="be brief")
                self.assertEqual(answer.response, TEXT)

    def test_stream(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                pieces = list(CLIENT.chat(model=f"{kind}/plain", messages=USER, stream=True))
                self.assertEqual("".join(piece.message.content for piece in pieces), TEXT)
                self.assertEqual(pieces[-1].done_reason, "stop")
                pieces = CLIENT.generate(model=f"{kind}/plain", prompt="hi", stream=True)
                self.assertEqual("".join(piece.response for piece in pieces), TEXT)

    def test_tools(self) -> None:
        for kind in KINDS:
            for streams in (False, True):
                with self.subTest(kind, stream=streams):
                    asked = {"model": f"{kind}/tools", "messages": USER, "tools": TOOLS}
                    answers = CLIENT.chat(**asked, stream=True) if streams else [CLIENT.chat(**asked)]
                    calls = [call for answer in answers for call in answer.message.tool_calls or []]
                    found = [(call.function.name, dict(call.function.arguments)) for call in calls]
                    self.assertEqual(found, CALLS)
                    turn = {"role": "assistant", "content": "", "tool_calls": calls}
                    results = [
                        {"role": "tool", "tool_name": name, "content": RESULTS[name]} for name, _ in found
                    ]
                    answer = CLIENT.chat(model=f"{kind}/plain", messages=[*USER, turn, *results])
                    self.assertEqual(answer.message.content, TEXT)

    def test_small_routes(self) -> None:
        names = [model.model for model in CLIENT.list().models]
        self.assertIn("extractive", names)
        answer = CLIENT.embed(model="static-minilm", input=["a boat", "a ship"])
        self.assertEqual(len(answer.embeddings), 2)
        self.assertTrue(CLIENT.chat(model="extractive:latest", messages=USER).message.content)

    def test_errors(self) -> None:
        for model, status in (("openai/busy", 429), ("nobody", 404)):
            with self.assertRaises(ollama.ResponseError) as caught:
                CLIENT.chat(model=model, messages=USER)
            self.assertEqual(caught.exception.status_code, status)

    def test_cut(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                text = ""
                with self.assertRaises(ollama.ResponseError):
                    for piece in CLIENT.chat(model=f"{kind}/cut", messages=USER, stream=True):
                        text += piece.message.content
                self.assertEqual(text, "Hel")
