"""A real upstream: the server of `llama-cpp-python`, with a model of random weights, asked through Boathouse."""

import json
import unittest
import urllib.request

import anthropic
import ollama
import openai

from expected import URL

CLIENT = openai.OpenAI(base_url=f"{URL}/v1", max_retries=0)
MODEL = "llamacpp/tiny"
USER = [{"role": "user", "content": "where is the boat"}]
ASKED = {"model": MODEL, "messages": USER, "max_tokens": 12, "temperature": 0, "seed": 1}


class Upstream(unittest.TestCase):
    def test_plain(self) -> None:
        answer = CLIENT.chat.completions.create(**ASKED)
        self.assertTrue(answer.choices[0].message.content)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertEqual(answer.usage.completion_tokens, 12)
        self.assertGreater(answer.usage.prompt_tokens, 12)

    def test_stream(self) -> None:
        chunks = list(CLIENT.chat.completions.create(**ASKED, stream=True))
        pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        whole = CLIENT.chat.completions.create(**ASKED).choices[0].message.content
        self.assertEqual("".join(pieces), whole)
        self.assertGreater(len(pieces), 2)
        self.assertEqual([chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1], "length")

    def test_other_surfaces(self) -> None:
        whole = CLIENT.chat.completions.create(**ASKED).choices[0].message.content
        options = {"num_predict": 12, "temperature": 0, "seed": 1}
        of_ollama = ollama.Client(host=URL).chat(model=MODEL, messages=USER, options=options)
        self.assertEqual(of_ollama.message.content, whole)
        self.assertEqual(of_ollama.done_reason, "length")
        of_anthropic = anthropic.Anthropic(base_url=URL, max_retries=0).messages.create(
            model=MODEL, messages=USER, max_tokens=12, extra_body={"temperature": 0}
        )
        self.assertEqual(of_anthropic.content[0].text, whole)
        self.assertEqual(of_anthropic.stop_reason, "max_tokens")

    def test_json_mode(self) -> None:
        answer = CLIENT.chat.completions.create(**ASKED, response_format={"type": "json_object"})
        self.assertTrue(answer.choices[0].message.content.lstrip().startswith("{"))

    def test_a_prompt_that_is_too_long(self) -> None:
        asked = ASKED | {"messages": [{"role": "user", "content": "x" * 2_000}]}
        with self.assertRaises(openai.APIStatusError) as caught:
            CLIENT.chat.completions.create(**asked)
        self.assertEqual(caught.exception.status_code, 413)
        self.assertIn("context", str(caught.exception))

    def test_the_server_still_answers_when_a_client_has_gone(self) -> None:
        stream = CLIENT.chat.completions.create(**ASKED | {"max_tokens": 200}, stream=True)
        next(iter(stream))
        stream.close()
        self.assertTrue(CLIENT.chat.completions.create(**ASKED).choices[0].message.content)

    def test_usage_is_in_the_account(self) -> None:
        before = self.tokens()
        CLIENT.chat.completions.create(**ASKED)
        self.assertGreater(self.tokens(), before)

    def tokens(self) -> int:
        with urllib.request.urlopen(f"{URL}/v1/usage") as answer:
            rows = json.load(answer)["rows"]
        return sum(row["completion_tokens"] for row in rows if row["model"] == MODEL)
