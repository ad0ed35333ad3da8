"""Starts the scripted upstream and a server before it, and runs the tests of every client."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

from upstream import KINDS, Upstream  # noqa: E402


def settings(upstream: str) -> str:
    lines = ["[chat.retry]", "max_attempts = 1", "[chat.breaker]", "failures = 1000"]
    for kind in KINDS:
        lines += [
            f"[chat.providers.{kind}]",
            f'kind = "{kind}"',
            f'base_url = "{upstream}/{kind}"',
        ]
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
    with tempfile.TemporaryDirectory() as folder, Upstream() as upstream:
        config = pathlib.Path(folder, "boathouse.toml")
        config.write_text(settings(upstream.url))
        command = [binary, "--config", str(config), "serve", "--port", "0", "--data", f"{folder}/data"]
        log = open(pathlib.Path(folder, "log"), "w+")
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            said = server.stdout.readline()
            url = "http://" + said.split("http://")[1].split()[0]
            os.environ["BOATHOUSE_URL"] = url
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
