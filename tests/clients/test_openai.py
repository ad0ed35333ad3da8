"""The official `openai` package: chat completions, responses, embeddings, models, errors."""

import json
import unittest

import openai

from expected import ANSWER, CALLS, KINDS, NOTHING, QUESTION, RESULTS, RETRIEVAL, TEXT, URL, WEATHER

CLIENT = openai.OpenAI(base_url=f"{URL}/v1", max_retries=0)
USER = [{"role": "user", "content": "hi"}]
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time", "parameters": NOTHING}},
]
FUNCTIONS = [
    {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False},
    {"type": "function", "name": "get_time", "parameters": NOTHING, "strict": False},
]


class Completions(unittest.TestCase):
    def test_plain(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                answer = CLIENT.chat.completions.create(model=f"{kind}/plain", messages=USER)
                self.assertEqual(answer.choices[0].message.content, TEXT)
                self.assertEqual(answer.choices[0].finish_reason, "stop")
                self.assertEqual(answer.usage.total_tokens, 29)

    def test_stream(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                with CLIENT.chat.completions.stream(
                    model=f"{kind}/plain", messages=USER, stream_options={"include_usage": True}
                ) as stream:
                    deltas = [event.delta for event in stream if event.type == "content.delta"]
                    answer = stream.get_final_completion()
                self.assertEqual("".join(deltas), TEXT)
                self.assertEqual(answer.choices[0].message.content, TEXT)
                self.assertEqual(answer.usage.completion_tokens, 10)

    def test_tools(self) -> None:
        for kind in KINDS:
            for streams in (False, True):
                with self.subTest(kind, stream=streams):
                    asked = {"model": f"{kind}/tools", "messages": USER, "tools": TOOLS}
                    if streams:
                        with CLIENT.chat.completions.stream(**asked) as stream:
                            message = stream.get_final_completion().choices[0].message
                    else:
                        message = CLIENT.chat.completions.create(**asked).choices[0].message
                    calls = message.tool_calls
                    found = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
                    self.assertEqual(found, CALLS)
                    results = [
                        {"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]}
                        for call in calls
                    ]
                    made = [
                        {"id": call.id, "type": "function",
                         "function": {"name": call.function.name, "arguments": call.function.arguments}}
                        for call in calls
                    ]
                    turn = {"role": "assistant", "content": None, "tool_calls": made}
                    answer = CLIENT.chat.completions.create(
                        model=f"{kind}/plain", messages=[*USER, turn, *results], tools=TOOLS
                    )
                    self.assertEqual(answer.choices[0].message.content, TEXT)

    def test_extractive(self) -> None:
        asked = [{"role": "user", "content": QUESTION}]
        answer = CLIENT.chat.completions.create(model="extractive", messages=asked, extra_body=RETRIEVAL)
        message = answer.choices[0].message
        self.assertIn(ANSWER, message.content)
        self.assertIn("/docs/points/1", message.annotations[0].url_citation.url)

    def test_validation(self) -> None:
        asked = {"model": "openai/plain", "messages": USER}
        kind = {"kind": "json_schema", "context": {"schema": {}}}
        demand = {"validation": {"kinds": [kind], "on_fail": "annotate"}}
        answer = CLIENT.chat.completions.create(**asked, extra_body=demand)
        self.assertEqual(answer.choices[0].message.content, TEXT)
        self.assertEqual(answer.validation["findings"][0]["rule"], "json_schema.no_json")
        with CLIENT.chat.completions.stream(**asked, extra_body=demand) as stream:
            chunks = [event.chunk for event in stream if event.type == "chunk"]
        self.assertEqual(chunks[-1].validation["verdict"], "repairable")
        demand["validation"]["on_fail"] = "reject"
        with self.assertRaises(openai.UnprocessableEntityError) as caught:
            CLIENT.chat.completions.create(**asked, extra_body=demand)
        self.assertEqual(caught.exception.code, "validation_failed")
        self.assertTrue(caught.exception.body["findings"])

    def test_errors(self) -> None:
        with self.assertRaises(openai.RateLimitError) as caught:
            CLIENT.chat.completions.create(model="openai/busy", messages=USER)
        self.assertIn("slow down", str(caught.exception))
        with self.assertRaises(openai.NotFoundError) as caught:
            CLIENT.chat.completions.create(model="nobody", messages=USER)
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError):
            CLIENT.chat.completions.create(model="extractive", messages=[])

    def test_cut(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                text = ""
                with self.assertRaises(openai.APIError):
                    for chunk in CLIENT.chat.completions.create(
                        model=f"{kind}/cut", messages=USER, stream=True
                    ):
                        text += chunk.choices[0].delta.content or ""
                self.assertEqual(text, "Hel")


class Responses(unittest.TestCase):
    def test_plain(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                answer = CLIENT.responses.create(model=f"{kind}/plain", input="hi", instructions="be brief")
                self.assertEqual(answer.output_text, TEXT)
                self.assertEqual(answer.status, "completed")
                self.assertEqual(answer.usage.total_tokens, 29)

    def test_stream(self) -> None:
        for kind in KINDS:
            with self.subTest(kind):
                with CLIENT.responses.stream(model=f"{kind}/plain", input="hi") as stream:
                    deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
                    answer = stream.get_final_response()
                self.assertEqual("".join(deltas), TEXT)
                self.assertEqual(answer.output_text, TEXT)

    def test_tools(self) -> None:
        for kind in KINDS:
            for streams in (False, True):
                with self.subTest(kind, stream=streams):
                    asked = {"model": f"{kind}/tools", "input": "hi", "tools": FUNCTIONS}
                    if streams:
                        with CLIENT.responses.stream(**asked) as stream:
                            answer = stream.get_final_response()
                    else:
                        answer = CLIENT.responses.create(**asked)
                    calls = [item for item in answer.output if item.type == "function_call"]
                    found = [(call.name, json.loads(call.arguments)) for call in calls]
                    self.assertEqual(found, CALLS)
                    turn = [
                        item.model_dump(exclude={"parsed_arguments"}, exclude_none=True)
                        for item in answer.output
                    ]
                    results = [
                        {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
                        for call in calls
                    ]
                    answer = CLIENT.responses.create(
                        model=f"{kind}/plain", tools=FUNCTIONS,
                        input=[{"role": "user", "content": "hi"}, *turn, *results],
                    )
                    self.assertEqual(answer.output_text, TEXT)

    def test_extractive(self) -> None:
        answer = CLIENT.responses.create(model="extractive", input=QUESTION, extra_body=RETRIEVAL)
        self.assertIn(ANSWER, answer.output_text)
        self.assertIn("/docs/points/1", answer.output[0].content[0].annotations[0].url)

    def test_reasoning(self) -> None:
        answer = CLIENT.responses.create(model="anthropic/reasoning", input="hi")
        self.assertEqual(answer.output[0].summary[0].text, "Two and two.")
        self.assertEqual(answer.status, "incomplete")
        self.assertEqual(answer.incomplete_details.reason, "max_output_tokens")

    def test_errors(self) -> None:
        with self.assertRaises(openai.BadRequestError) as caught:
            CLIENT.responses.create(model="extractive", input="hi", previous_response_id="resp_1")
        self.assertEqual(caught.exception.param, "previous_response_id")
        with self.assertRaises(openai.APIError):
            for _ in CLIENT.responses.create(model="openai/cut", input="hi", stream=True):
                pass


class Embeddings(unittest.TestCase):
    def test_base64_and_floats_agree(self) -> None:
        texts = ["a boat on the river", "a ship at sea"]
        packed = CLIENT.embeddings.create(model="static-minilm", input=texts)
        plain = CLIENT.embeddings.create(model="static-minilm", input=texts, encoding_format="float")
        for one, two in zip(packed.data, plain.data, strict=True):
            self.assertEqual(len(one.embedding), len(two.embedding))
            self.assertLess(max(abs(a - b) for a, b in zip(one.embedding, two.embedding)), 1e-6)
        short = CLIENT.embeddings.create(model="static-minilm", input="a boat", dimensions=8)
        self.assertEqual(len(short.data[0].embedding), 8)

    def test_models(self) -> None:
        names = [model.id for model in CLIENT.models.list()]
        self.assertIn("extractive", names)
        self.assertEqual(CLIENT.models.retrieve("extractive").id, "extractive")

    def test_errors(self) -> None:
        with self.assertRaises(openai.BadRequestError):
            CLIENT.embeddings.create(model="static-minilm", input=[])
