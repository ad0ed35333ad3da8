"""Starts a server with something in it, and has schemathesis ask it everything that its OpenAPI document describes.

What schemathesis is told stands in schemathesis.toml, what no setting of its can say in hooks.py.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).parent
SCHEMATHESIS = pathlib.Path(sys.executable).with_name("st")
PASSAGES = ["The ferry to the island leaves at nine.", "The museum opens at ten.", "The bakery sells bread from seven."]
# As by default, without what is no warning. No provider but the embedded one is set: no answer may be 502 or 504.
SETTINGS = """
[log]
filter = "warn,actix_http=off,hnsw_rs=warn,rmcp=warn"
"""


class Server:
    def __init__(self, binary: str, folder: str) -> None:
        config = pathlib.Path(folder, "boathouse.toml")
        config.write_text(SETTINGS)
        self.log = open(pathlib.Path(folder, "log"), "w+")
        command = [binary, "--config", str(config), "serve", "--port", "0", "--data", f"{folder}/data"]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = "http://" + self.child.stdout.readline().split("http://")[1].split()[0]

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(self.url + path, body and json.dumps(body).encode(), method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def fill(self) -> None:
        """A collection, answers over it, what people said of them, and tasks made of both."""
        self.ask("PUT", "/v1/collections/docs", {"fields": {"year": "integer"}})
        points = [{"id": str(n), "text": text, "payload": {"year": 2020 + n}} for n, text in enumerate(PASSAGES)]
        self.ask("POST", "/v1/collections/docs/points", {"points": points})
        for way in ("accepted", "rejected", None):
            messages = [{"role": "user", "content": "When does the ferry leave?"}]
            body = {"model": "extractive", "messages": messages, "retrieval": {"collection": "docs"}}
            answer = self.ask("POST", "/v1/chat/completions", body)
            if way:
                self.ask("POST", "/v1/feedback", {"target": answer["id"], "rating": way})
        self.ask("POST", "/v1/materialize", {})

    def crashes(self) -> list[str]:
        """The cells that crashed; a restart that was asked for leaves no crash."""
        found, nodes = [], [self.ask("GET", "/v1/supervisors")]
        while nodes:
            node = nodes.pop()
            nodes += node.get("children", [])
            if node.get("last_crash"):
                found.append(f"{node['id']}: {node['last_crash']}")
        return found

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=60)
        self.child.stdout.close()


def main() -> int:
    binary, options = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, folder)
        try:
            server.fill()
            command = [str(SCHEMATHESIS), "--config-file", str(HERE / "schemathesis.toml"), "run", server.url + "/openapi.json"]
            environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
            # In the folder that goes: it keeps what it found below the one it runs in.
            status = subprocess.run([*command, *options], cwd=folder, env=environment).returncode
            for crash in server.crashes():
                print(f"crashed: {crash}", file=sys.stderr)
                status = status or 1
        finally:
            server.stop()
        if status:
            server.log.seek(0)
            print(server.log.read()[-20_000:], file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
