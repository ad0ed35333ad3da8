"""A scripted upstream in OpenAI's language, whose streams wait until they are told to go on."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOSTILE = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 2</script>'

STEADY = "At nine, from the north pier."
USAGE = {"prompt_tokens": 42, "completion_tokens": 9, "total_tokens": 51}


class Upstream:
    """Serves the models `patient` (waits in the middle of its answer), `hostile`, `broken` (ends there) and `steady`."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            upstream = self

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:  # noqa: N802
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if not asked.get("stream"):
                    return self.whole()
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.close_connection = True
                try:
                    self.answer(asked["model"])
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def whole(self) -> None:
                message = {"role": "assistant", "content": STEADY}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
                text = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def piece(self, delta: dict, finish: str | None = None) -> None:
                choice = {"index": 0, "delta": delta, "finish_reason": finish}
                chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

            def answer(self, model: str) -> None:
                if model == "hostile":
                    self.piece({"content": HOSTILE})
                elif model == "steady":
                    self.piece({"content": STEADY})
                else:
                    self.piece({"content": "The first half"})
                    if model == "broken":
                        return
                    self.upstream.go_on.wait(timeout=60)
                    self.piece({"content": " and the second."})
                self.piece({}, "stop")
                chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": USAGE}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self) -> "Upstream":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()
