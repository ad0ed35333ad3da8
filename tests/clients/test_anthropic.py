"""The official `anthropic` package: messages, plain and streamed, tools, thinking, errors."""

import unittest

import anthropic

from expected import ANSWER, CALLS, KINDS, NOTHING, QUESTION, RESULTS, RETRIEVAL, TEXT, URL, WEATHER

CLIENT = anthropic.Anthropic(base_url=URL, max_retries=0)
USER = [{"role": "user", "content": "hi"}]
TOOLS = [
    {"name": "get_weather", "input_schema": WEATHER},
    {"name": "get_time", "input_schema": NOTHING},
]


class Messages(unittest.TestCase):
    def test_plain(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                answer = CLIENT.messages.create(
                    model=f"{kind}/plain", max_tokens=99, system="be brief", messages=USER
                )
                self.assertEqual(answer.content[0].text, TEXT)
                self.assertEqual(answer.stop_reason, "end_turn")
                self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (19, 10))
                self.assertTrue(answer._request_id)

    def test_stream(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                with CLIENT.messages.stream(model=f"{kind}/plain", max_tokens=99, messages=USER) as stream:
                    self.assertEqual("".join(stream.text_stream), TEXT)
                    answer = stream.get_final_message()
                self.assertEqual(answer.content[0].text, TEXT)
                self.assertEqual(answer.usage.output_tokens, 10)

    def test_tools(self) -> None:
        for kind in KINDS:
            for streams in (False, True):
                with self.subTest(kind, stream=streams):
                    asked = {"model": f"{kind}/tools", "max_tokens": 99, "messages": USER, "tools": TOOLS}
                    if streams:
                        with CLIENT.messages.stream(**asked) as stream:
                            answer = stream.get_final_message()
                    else:
                        answer = CLIENT.messages.create(**asked)
                    calls = [block for block in answer.content if block.type == "tool_use"]
                    self.assertEqual([(call.name, call.input) for call in calls], CALLS)
                    self.assertEqual(answer.stop_reason, "tool_use")
                    results = [
                        {"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.name]}
                        for call in calls
                    ]
                    answer = CLIENT.messages.create(
                        model=f"{kind}/plain", max_tokens=99, tools=TOOLS,
                        messages=[
                            *USER,
                            {"role": "assistant", "content": answer.content},
                            {"role": "user", "content": results},
                        ],
                    )
                    self.assertEqual(answer.content[0].text, TEXT)

    def test_thinking_keeps_its_signature(self) -> None:
        asked = {"model": "anthropic/reasoning", "max_tokens": 99, "messages": USER}
        with CLIENT.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        for answer in (CLIENT.messages.create(**asked), streamed):
            self.assertEqual([block.type for block in answer.content],
                             ["thinking", "redacted_thinking", "text"])
            self.assertEqual(answer.content[0].thinking, "Two and two.")
            self.assertEqual(answer.content[0].signature, "EqQBCgIYAhIM1gbcDa9GJwZA2b3h")
            self.assertEqual(answer.stop_reason, "max_tokens")

    def test_extractive(self) -> None:
        asked = {"model": "extractive", "max_tokens": 99, "extra_body": RETRIEVAL,
                 "messages": [{"role": "user", "content": QUESTION}]}
        with CLIENT.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        for answer in (CLIENT.messages.create(**asked), streamed):
            self.assertIn(ANSWER, answer.content[0].text)
            self.assertIn("/docs/points/1", answer.content[0].citations[0].source)

    def test_errors(self) -> None:
        with self.assertRaises(anthropic.RateLimitError) as caught:
            CLIENT.messages.create(model="anthropic/busy", max_tokens=9, messages=USER)
        self.assertIn("slow down", str(caught.exception))
        with self.assertRaises(anthropic.NotFoundError):
            CLIENT.messages.create(model="nobody", max_tokens=9, messages=USER)
        with self.assertRaises(anthropic.BadRequestError):
            CLIENT.messages.create(model="extractive", max_tokens=9, messages=[])

    def test_cut(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                text = ""
                with self.assertRaises(anthropic.APIStatusError):
                    with CLIENT.messages.stream(model=f"{kind}/cut", max_tokens=9, messages=USER) as stream:
                        for piece in stream.text_stream:
                            text += piece
                self.assertEqual(text, "Hel")
