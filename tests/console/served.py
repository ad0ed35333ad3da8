"""The server that is walked through, and what it is filled with."""

import json
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request

from upstream import HOSTILE

ROOT = pathlib.Path(__file__).parents[2]
QUESTIONS = [
    "What happens when the queue is full?",
    "What happens when a worker hangs?",
    "When is a snapshot written?",
    "What does a crash cost?",
    "Where are embeddings kept?",
]


class Served:
    """A binary on a free port, with its data in a folder."""

    def __init__(self, binary: str, folder: str, upstream: str) -> None:
        self.binary = binary
        self.folder = pathlib.Path(folder)
        config = self.folder / "boathouse.toml"
        config.write_text(
            "[supervisors]\nallow_crash = true\n[supervisors.defaults]\nintensity = 100\n"
            '[chat.breaker]\nfailures = 1000\n[chat.retry]\nmax_attempts = 1\n[chat.providers.up]\nkind = "openai"\n'
            f'base_url = "{upstream}"\nmodels = ["steady", "patient", "hostile", "broken"]\n'
            '[chat.prices]\n"up/*" = { input = 3.0, output = 15.0 }\n'
        )
        self.config = ["--config", str(config)]
        self.data = ["--data", str(self.folder / "data")]

    def __enter__(self) -> "Served":
        self.log = open(self.folder / "log", "w+")
        command = [self.binary, *self.config, "serve", "--port", "0", *self.data]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = "http://" + self.child.stdout.readline().split("http://")[1].split()[0]
        return self

    def __exit__(self, *_: object) -> None:
        self.child.send_signal(signal.SIGINT)
        self.child.wait(timeout=60)

    def ask(self, method: str, path: str, body: object = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.loads(reply.read() or b"null")

    def run(self, *arguments: str) -> None:
        done = subprocess.run([self.binary, *self.config, *arguments], cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")

    def chat(self, model: str, question: str, collection: str | None = None, user: str = "ada") -> dict:
        body = {"model": model, "user": user, "messages": [{"role": "user", "content": question}]}
        if collection:
            body["retrieval"] = {"collection": collection, "k": 3}
        return self.ask("POST", "/v1/chat/completions", body)

    def crash(self) -> None:
        """One request to the embedding cell fails by a panic."""
        self.ask("POST", "/v1/supervisors/embedding/crash", {})
        try:
            self.ask("POST", "/v1/embeddings", {"model": "static-minilm", "input": "the same poison"})
        except urllib.error.HTTPError as error:
            assert error.code == 500, error.code

    def fill(self) -> None:
        """Documents, answers with judgements, tasks, an export, a replay, a dead letter, and what a hostile client would send."""
        docs = ["docs/SUPERVISION.md", "docs/STORAGE.md", "docs/MODELS.md"]
        self.run("ingest", *docs, "--collection", "docs", "--url", self.url)
        self.ask("PUT", "/v1/collections/odd", {"fields": {"lang": "keyword"}})
        odd = {"id": HOSTILE, "text": f"The ferry leaves at nine. {HOSTILE}", "payload": {"lang": HOSTILE, HOSTILE: 1}}
        self.ask("POST", "/v1/collections/odd/points", {"points": [odd]})
        for at, question in enumerate(QUESTIONS):
            answer = self.chat("extractive", question, "docs")
            if at < 3:
                feedback = {"target": answer["id"], "rating": "accepted" if at else "partially_accepted"}
                if not at:
                    feedback["edited_answer"] = "The caller is answered with Busy at once, and may try again later."
                self.ask("POST", "/v1/feedback", feedback)
        self.chat("extractive", "When does the ferry leave?", "odd", user=HOSTILE)
        self.ask("POST", "/v1/collections/docs/search", {"query": f"{HOSTILE} queue"})
        self.ask("POST", "/v1/validate", {"kind": "email", "payload": {"to": HOSTILE, "subject": HOSTILE, "body": HOSTILE}})
        self.ask("POST", "/v1/materialize", {})
        self.ask("POST", "/v1/exports", {"kind": "sft"})
        self.run("replay", "shorter", "--collection", "docs", "-k", "1", "--url", self.url, *self.data)
        for _ in range(3):
            self.crash()
