"""Starts the scripted upstream, a real one, and a server before both, and runs the tests of every client."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import tiny_model  # noqa: E402
from upstream import KINDS, Upstream  # noqa: E402


class LlamaCpp:
    """The server of `llama-cpp-python` with a model of random weights."""

    def __init__(self, folder: str) -> None:
        self.folder = pathlib.Path(folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> "LlamaCpp":
        model = self.folder / "tiny.gguf"
        tiny_model.make(model)
        self.log = open(self.folder / "llamacpp.log", "w+")
        command = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--model", str(model), "--model_alias", "tiny", "--n_ctx", str(tiny_model.CONTEXT), "--n_threads", "1"]
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + "/models").close()
                return self
            except OSError:
                if self.child.poll() is not None:
                    break
                time.sleep(0.1)
        self.__exit__()
        self.log.seek(0)
        raise RuntimeError(f"llama_cpp.server does not answer:\n{self.log.read()}")

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()


def settings(upstream: str, llamacpp: str) -> str:
    lines = ["[chat.retry]", "max_attempts = 1", "[chat.breaker]", "failures = 1000"]
    for kind in KINDS:
        lines += [
            f"[chat.providers.{kind}]",
            f'kind = "{kind}"',
            f'base_url = "{upstream}/{kind}"',
        ]
    lines += ["[chat.providers.llamacpp]", 'kind = "openai"', f'base_url = "{llamacpp}"']
    return "\n".join(lines)


def fill(url: str) -> None:
    """Makes the collection that `extractive` quotes."""
    points = {"points": [{"id": "1", "text": "The ferry to the island leaves at nine."}]}
    for method, path, body in (
        ("PUT", "/v1/collections/docs", {}),
        ("POST", "/v1/collections/docs/points", points),
    ):
        request = urllib.request.Request(url + path, json.dumps(body).encode(), method=method)
        urllib.request.urlopen(request).close()


def main() -> int:
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder, Upstream() as upstream, LlamaCpp(folder) as llamacpp:
        config = pathlib.Path(folder, "boathouse.toml")
        config.write_text(settings(upstream.url, llamacpp.url))
        command = [binary, "--config", str(config), "serve", "--port", "0", "--data", f"{folder}/data"]
        log = open(pathlib.Path(folder, "log"), "w+")
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            said = server.stdout.readline()
            url = "http://" + said.split("http://")[1].split()[0]
            os.environ["BOATHOUSE_URL"] = url
            os.environ["BOATHOUSE_BINARY"] = binary
            fill(url)
            # Nothing but loopback is asked.
            for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
                os.environ[key] = "not-read"
            os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
            suite = unittest.defaultTestLoader.discover(str(HERE))
            result = unittest.TextTestRunner(verbosity=1).run(suite)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
        if not result.wasSuccessful():
            log.seek(0)
            print(log.read(), file=sys.stderr)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
