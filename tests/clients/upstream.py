"""An upstream of every kind of provider, which answers with the golden files of the providers' own tests.

The kind is the first step of the path, the script is the name of the model: `plain`, `tools`, `busy` (429) or `cut`.
"""

import http.server
import json
import pathlib
import threading

GOLDEN = pathlib.Path(__file__).parents[2] / "src/engines/chat/providers/fixtures"
STREAMS = {
    "openai": ("sse", "text/event-stream"),
    "anthropic": ("sse", "text/event-stream"),
    "gemini": ("sse", "text/event-stream"),
    "ollama": ("ndjson", "application/x-ndjson"),
}
KINDS = sorted(STREAMS)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        kind, _, path = self.path.lstrip("/").partition("/")
        if kind == "gemini":
            script, _, method = path.partition("models/")[2].partition(":")
            streams = method.startswith("streamGenerateContent")
        else:
            script, streams = body["model"], body.get("stream", False)
        self.server.seen.append((kind, body))
        ending, stream_type = STREAMS[kind]
        if script == "busy":
            error = {"error": {"message": "slow down", "type": "rate_limit_error"}}
            self.send(429, "application/json", json.dumps(error).encode())
        elif script == "cut":
            text = (GOLDEN / kind / f"broken_midway.{ending}").read_text()
            begun = text[: text.index("\n", text.index("Hel"))] + "\n\n"
            self.send(200, stream_type, begun.encode(), missing=1000)
        elif streams:
            self.send(200, stream_type, (GOLDEN / kind / f"{script}.{ending}").read_bytes())
        else:
            self.send(200, "application/json", (GOLDEN / kind / f"{script}.json").read_bytes())

    def send(self, status: int, kind: str, body: bytes, missing: int = 0) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body) + missing))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = missing > 0

    def log_message(self, *_: object) -> None:
        pass


class Upstream:
    def __enter__(self) -> "Upstream":
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.seen = []
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
