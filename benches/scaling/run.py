#!/usr/bin/env python3
"""What one core of a server does and what its data takes: the figures that docs/SCALING.md counts with.

  benches/scaling/run.py BINARY fill 25000 100000    fills a collection each, below target/scaling
  benches/scaling/run.py BINARY serve [25000 …]      loads a server that has one core; the load tool has another
  benches/scaling/run.py BINARY proxy                the same searches with nginx before it (NGINX_BINARY, else that of PATH)
  benches/scaling/run.py BINARY replica              searches and writes of a collection that Qdrant keeps; with the Python of tests/backends/run.sh

One JSON line for each figure. `us_of_cpu` is what all threads of the server computed for a request, by the system's own account. Needs Linux,
two cores, and nginx for chats (it is the upstream that answers at once). Nothing else should run meanwhile.
"""

import atexit
import concurrent.futures
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "target" / "scaling"
NGINX = os.environ.get("NGINX_BINARY") or shutil.which("nginx") or "/usr/sbin/nginx"
CORPORA = ["config/demo/trecqa/corpus.jsonl", "tests/data/eval/banking77/corpus.jsonl"]
WRITE, WRITERS, SECONDS = 500, 4, os.environ.get("SECONDS_EACH", "5")
# `index.hnsw_threshold`: fewer points have no graph.
GRAPH_FROM = 20000
ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "The boat leaves the pier at nine. " * 8}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 64, "total_tokens": 84},
}
EMAIL = {"kind": "email", "payload": {"to": "dana@example.com", "subject": "Your shift", "body": "Dear Dana, your shift begins at nine. " * 50}}


def texts(count: int) -> list:
    """Windows of 8 to 20 words out of the bundled texts, overlapping."""
    words = [word for file in CORPORA for line in open(ROOT / file) for word in json.loads(line)["text"].split()]
    step = max(1, (len(words) - 20) // count)
    return [" ".join(words[at : at + 8 + n % 13]) for n in range(count) for at in [n * step % (len(words) - 20)]]


def on_core(core: int | None):
    return None if core is None else lambda: os.sched_setaffinity(0, {core})


class Server:
    def __init__(self, binary: str, folder: pathlib.Path, core: int | None = None, **settings) -> None:
        env = {**os.environ, **{f"BOATHOUSE__{key}": value for key, value in settings.items()}}
        command = [binary, "serve", "--port", "0", "--data", str(folder)]
        if core is not None:
            env["BOATHOUSE__HTTP__WORKERS"] = "1"
        if (folder.parent / "chat.toml").exists():
            command += ["--config", str(folder.parent / "chat.toml")]
        self.folder = folder
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(f"{folder}.log", "ab"), text=True, env=env, preexec_fn=on_core(core))
        atexit.register(self.child.terminate)
        self.url = "http://" + self.child.stdout.readline().split("http://")[1].split()[0]

    def ask(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, method=method), timeout=120) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=60)

    def journal(self) -> tuple:
        head = self.ask("GET", "/v1/evidence/head")
        return head["seq"], sum(file.stat().st_size for file in (self.folder / "evidence").glob("*.jsonl"))


def memory_mb(pid: int) -> float:
    line = next(line for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tools_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine_s() -> float:
    """What all processes computed since the start: all but idle and waiting."""
    fields = [int(field) for field in open("/proc/stat").readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def tell(what: str, **figures) -> None:
    rounded = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


def disk_mb(folder: pathlib.Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def has_graph(server: Server) -> bool:
    """Whether it is over all points but those that may come after it (`index.rebuild_ratio`)."""
    graph = server.ask("GET", "/v1/collections/docs")["graph"]
    return bool(graph) and graph["state"] == "ready" and graph["tail"] <= 0.2 * graph["points"]


def fill(binary: str, count: int) -> None:
    folder = HOME / str(count)
    shutil.rmtree(folder, ignore_errors=True)
    HOME.mkdir(parents=True, exist_ok=True)
    server = Server(binary, folder)
    idle = memory_mb(server.child.pid)
    tell("idle", memory_mb=idle)
    server.ask("PUT", "/v1/collections/docs", {})
    points = [{"id": str(n), "text": text} for n, text in enumerate(texts(count))]
    bodies = [json.dumps({"points": points[at : at + WRITE]}).encode() for at in range(0, count, WRITE)]

    def write(some: list) -> None:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        for body in some:
            connection.request("POST", "/v1/collections/docs/points", body)
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(answer.read())
            answer.read()

    before, started = cpu_s(server.child.pid), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, [bodies[n::WRITERS] for n in range(WRITERS)]))
    tell("fill", points=count, points_per_s=count / (time.monotonic() - started), us_of_cpu=(cpu_s(server.child.pid) - before) / count * 1e6)
    while count >= GRAPH_FROM and not has_graph(server):
        time.sleep(0.2)
    taken = time.monotonic() - started
    cpu = cpu_s(server.child.pid) - before
    tell("fill and graph", points=count, seconds=taken, us_of_cpu=cpu / count * 1e6)
    server.stop()
    server = Server(binary, folder)
    server.ask("POST", "/v1/collections/docs/search", {"query": "boat"})
    tell("started again", points=count, memory_mb=memory_mb(server.child.pid), bytes_per_point=(memory_mb(server.child.pid) - idle) * 1048576 / count, disk_bytes_per_point=disk_mb(folder / "collections") * 1e6 / count)
    server.stop()


def load(binary: str, server: Server, what: str, *arguments: str, url: str | None = None, also: int | None = None, beside: int | None = None, **about) -> None:
    """One measurement by `boathouse bench`, over 32 connections, on the second core."""
    records, size = server.journal()
    ours = lambda: cpu_s(server.child.pid) + tools_s() + sum(cpu_s(pid) for pid in (also, beside) if pid)
    before = cpu_s(server.child.pid), cpu_s(also) if also else 0
    others = ours() - machine_s()
    command = [binary, "bench", *arguments, "--url", url or server.url, "--seconds", SECONDS, "--threads", "1", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=on_core(1))
    spent = cpu_s(server.child.pid) - before[0]
    others += machine_s() - ours()
    found = json.loads(ran.stdout)
    one = found["runs"][0]
    # The warm-up of a second costs processor time too, and is not counted.
    served = one["per_second"] * (one["seconds"] + found["warm_up_seconds"])
    figures = {"us_of_cpu": spent / served * 1e6}
    if also:
        figures["us_of_cpu_of_nginx"] = (cpu_s(also) - before[1]) / served * 1e6
    after, longer = server.journal()
    if after > records:
        figures["evidence_bytes"] = (longer - size) / (after - records)
    # Cores that others kept busy meanwhile: more than a tenth, and the figures of time are none.
    figures["others"] = others / (one["seconds"] + found["warm_up_seconds"])
    tell(what, **about, per_s=one["per_second"], p50_ms=one["latency_ms"]["p50"], p99_ms=one["latency_ms"]["p99"], failed=sum(one["failures"].values()), statuses=one["statuses"], **figures)


def nginx(name: str, servers: str) -> tuple:
    """Nginx with one worker on the second core: its process and its worker's id."""
    folder = HOME / name
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; keepalive_requests 1000000000;\n"
        f"client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"{servers}\n}}\n"
    )
    child = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(conf), "-e", f"{folder}/error.log"], preexec_fn=on_core(1))
    atexit.register(child.terminate)
    port = int(servers.split("listen 127.0.0.1:")[1].split(";")[0])
    # It listens before its worker is there.
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/")
            connection.getresponse().read()
            break
        except OSError:
            if child.poll() is not None:
                raise RuntimeError(f"nginx ended: {folder}/error.log") from None
            time.sleep(0.02)
    worker = int(open(f"/proc/{child.pid}/task/{child.pid}/children").read().split()[0])
    return child, worker


def stop(child) -> None:
    child.send_signal(signal.SIGTERM)
    child.wait(timeout=20)


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def sizes() -> list:
    return sorted(int(folder.name) for folder in HOME.iterdir() if folder.name.isdigit() and folder.is_dir())


def serve(binary: str, counts: list) -> None:
    port = free_port()
    upstream, upstream_worker = nginx("upstream", f"server {{ listen 127.0.0.1:{port}; default_type application/json; location / {{ return 200 '{json.dumps(ANSWER)}'; }} }}")
    (HOME / "chat.toml").write_text(f'[chat.providers.up]\nkind = "openai"\nbase_url = "http://127.0.0.1:{port}/v1"\nmodels = ["m"]\n')
    (HOME / "email.json").write_text(json.dumps(EMAIL))
    for count in counts:
        server = Server(binary, HOME / str(count), core=0)
        load(binary, server, "search, hybrid", "search", "--collection", "docs", points=count)
        if count == counts[-1]:
            load(binary, server, "embed, known", "embed")
            load(binary, server, "embed, new", "embed", "--cold")
            load(binary, server, "chat", "chat", "--model", "m", beside=upstream_worker)
            load(binary, server, "validate, mail of 2 KB", "request", "post", "/v1/validate", str(HOME / "email.json"))
        server.stop()
    stop(upstream)


def proxy(binary: str) -> None:
    count, port = sizes()[0], free_port()
    server = Server(binary, HOME / str(count), core=0)
    address = server.url.removeprefix("http://")
    proxied, worker = nginx(
        "proxy",
        f"upstream house {{ server {address}; keepalive 64; }}\nserver {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://house; proxy_http_version 1.1; "
        f'proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_buffering off; }} }}',
    )
    for what, arguments in {"search, hybrid": ["search", "--collection", "docs"], "embed, known": ["embed"]}.items():
        load(binary, server, what, *arguments, points=count)
        load(binary, server, f"{what}, by nginx", *arguments, url=f"http://127.0.0.1:{port}", also=worker, points=count)
    stop(proxied)
    server.stop()


def replica(binary: str) -> None:
    """The engine is Qdrant's own behind the double of tests/backends: its answers are slow, and what it computes is not counted."""
    sys.path.insert(0, str(ROOT / "tests" / "backends"))
    from served import Double

    double = Double()
    # Else it would go on, and this process wait for it.
    atexit.register(double.close)
    folder = HOME / "replica"
    shutil.rmtree(folder, ignore_errors=True)
    HOME.mkdir(parents=True, exist_ok=True)
    server = Server(binary, folder, core=0, BACKENDS__QDRANT__URL=double.url)
    server.ask("PUT", "/v1/collections/docs", {"backend": "qdrant"})
    points = [{"id": str(n), "text": text} for n, text in enumerate(texts(20000))]
    before, began = cpu_s(server.child.pid), memory_mb(double.child.pid)
    for at in range(0, len(points), WRITE):
        server.ask("POST", "/v1/collections/docs/points", {"points": points[at : at + WRITE]})
    tell("fill, by qdrant", points=len(points), us_of_cpu=(cpu_s(server.child.pid) - before) / len(points) * 1e6, engine_bytes_per_point=(memory_mb(double.child.pid) - began) * 1048576 / len(points))
    load(binary, server, "search, hybrid, by qdrant", "search", "--collection", "docs", beside=double.child.pid, points=len(points))
    tell("memory, by qdrant", memory_mb=memory_mb(server.child.pid))
    server.stop()


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, part, *counts = sys.argv[1:]
    match part:
        case "fill":
            for count in counts or ["25000", "100000"]:
                fill(binary, int(count))
        case "serve":
            serve(binary, [int(count) for count in counts] or sizes())
        case "proxy":
            proxy(binary)
        case "replica":
            replica(binary)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
