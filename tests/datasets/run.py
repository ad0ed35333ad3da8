"""Fills a server with evidence, has it export every kind in every flavour, and reads the folders with `datasets`, pyarrow and DuckDB."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import tables

TOOLS = [
    [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}],
    [{"type": "function", "function": {"name": "count", "parameters": {"type": "object", "required": ["n"]}}}],
]
# Arguments of one name and other types: what a table of fixed types cannot hold.
ARGUMENTS = [{"at": "pier", "deep": {"a": 1}}, {"at": 7}, {"at": ["x", 1]}]
PASSAGES = ["The ferry to the island leaves at nine.", "The museum opens at ten.", "The bakery sells bread from seven."]
KINDS = {
    "rag": ["trl"],
    "triplets": ["trl"],
    "sft": ["trl", "openai", "sharegpt"],
    "preference": ["trl", "openai"],
    "kto": ["trl"],
}


class Server:
    def __init__(self, binary: str, folder: str) -> None:
        command = [binary, "serve", "--port", "0", "--data", folder]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = "http://" + self.child.stdout.readline().split("http://")[1].split()[0]

    def ask(self, path: str, body: dict, method: str = "POST") -> dict:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=30)
        self.child.stdout.close()


def fill(server: Server, tools: bool) -> None:
    """Twelve questions, each answered four times: accepted, rejected, edited, edited and rejected."""
    server.ask("/v1/collections/docs", {}, "PUT")
    points = [{"id": str(n), "text": text} for n, text in enumerate(PASSAGES)]
    server.ask("/v1/collections/docs/points", {"points": points})
    for n in range(12):
        question = f"When does the ferry to the island leave on day {n}, write to me{n}@example.com \u2028 \U0001f6a3?"
        messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": question}]
        extra = {}
        if tools and n % 2:
            call = {"name": "look", "arguments": json.dumps(ARGUMENTS[n // 2 % 3])}
            messages[1:1] = [
                {"role": "user", "content": "Look."},
                {"role": "assistant", "content": "", "tool_calls": [{"id": f"c{n}", "type": "function", "function": call}]},
                {"role": "tool", "tool_call_id": f"c{n}", "content": "seen"},
                {"role": "assistant", "content": "I looked."},
            ]
            extra = {"tools": TOOLS[n // 2 % 2], "tool_choice": "none"}
        for way in range(4):
            retrieval = {"collection": "docs", "k": 3}
            body = {"model": "extractive", "messages": messages, "retrieval": retrieval, **extra}
            answer = server.ask("/v1/chat/completions", body)
            said = {"target": answer["id"], "rating": ["accepted", "rejected"][way % 2]}
            if way >= 2:
                said["edited_answer"] = f"Edit {way} of {n}: at nine."
            server.ask("/v1/feedback", said)
    server.ask("/v1/materialize", {})


class Exports(unittest.TestCase):
    def check(self, tools: bool) -> None:
        from datasets import load_dataset

        with tempfile.TemporaryDirectory() as folder:
            server = Server(sys.argv[1], folder)
            try:
                fill(server, tools)
                for kind, flavours in KINDS.items():
                    for flavour in flavours:
                        with self.subTest(kind=kind, flavour=flavour, tools=tools):
                            receipt = server.ask("/v1/exports", {"kind": kind, "flavour": flavour, "test_fraction": 0.4})
                            self.assertGreater(receipt["rows"], 0, receipt)
                            path = pathlib.Path(receipt["path"]).resolve()
                            cache = pathlib.Path(folder, "cache", path.name)
                            read = load_dataset(str(path), cache_dir=str(cache))
                            self.compare(path, read)
                            tables.compare(self, path)
                            if kind == "triplets":
                                # sentence-transformers takes columns by their order: its losses want anchor, positive, negative.
                                for side in read.values():
                                    self.assertEqual(side.column_names, ["anchor", "positive", "negative"])
                self.mined(server, folder)
                if not tools:
                    self.sql(pathlib.Path(folder))
            finally:
                server.stop()

    def compare(self, path: pathlib.Path, read) -> None:
        written = {file.stem: [json.loads(line) for line in file.read_text().split("\n") if line] for file in (path / "data").iterdir()}
        self.assertEqual(set(read), set(written))
        declared = json.loads((path / "manifest.json").read_text())["columns"]
        for side, rows in written.items():
            self.assertEqual(read[side].num_rows, len(rows))
            self.assertLessEqual(set(read[side].column_names), {column["name"] for column in declared})
            for one, row in zip(read[side], rows, strict=True):
                self.assertEqual({name: value for name, value in one.items() if value is not None}, row)
                self.assertNotIn("@example.com", json.dumps(one))

    def mined(self, server: Server, folder: str) -> None:
        """Negatives that no retrieval had seen."""
        from datasets import load_dataset

        more = [{"id": f"more {n}", "text": f"The ferry to the {place} leaves at noon."} for n, place in enumerate(["city", "lighthouse", "cape"])]
        server.ask("/v1/collections/docs/points", {"points": more})
        body = {"kind": "triplets", "name": "mined", "negatives": {"collection": "docs", "margin": 0}}
        receipt = server.ask("/v1/exports", body)
        path = pathlib.Path(receipt["path"]).resolve()
        read = load_dataset(str(path), cache_dir=str(pathlib.Path(folder, "cache", "mined")))
        negatives = {row["negative"] for side in read.values() for row in side}
        self.assertTrue(negatives & {point["text"] for point in more}, negatives)
        self.assertEqual(server.ask("/v1/exports", body)["outputs"], receipt["outputs"])
        tables.compare(self, path)

    def sql(self, folder: pathlib.Path) -> None:
        """The statements of docs/SQL.md, in the data folder."""
        import duckdb

        before = os.getcwd()
        statements = tables.statements()
        os.chdir(folder)
        try:
            for statement in statements:
                with self.subTest(statement=statement):
                    self.assertGreater(len(duckdb.sql(statement).fetchall()), 0)
        finally:
            os.chdir(before)
        self.assertGreater(len(statements), 5)

    def test_plain_conversations(self) -> None:
        self.check(tools=False)

    def test_conversations_with_tools(self) -> None:
        self.check(tools=True)


if __name__ == "__main__":
    # Read at the import of `datasets`.
    os.environ["HF_HUB_OFFLINE"] = "1"
    unittest.main(argv=[sys.argv[0], "-v"])
