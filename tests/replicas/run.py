"""Three replicas behind nginx, by config/nginx/boathouse.conf, share a Qdrant. They are killed, frozen and upgraded under load, and what was acknowledged is counted.

run.py BINARY NGINX
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "backends"))

from served import Double, Server  # noqa: E402

BINARY = NGINX = ""
REPLICAS = 3
THREADS = 12
# Requests of each thread before a replica is killed, and from then on.
BEFORE, AFTER = 24, 24
# Longest wait for what must happen at some time, seconds.
PATIENCE = 120
WORDS = "boat lake rudder anchor mast keel bow stern sail rope dock pier buoy helm".split()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Answer:
    """What came of one request: a status of 0 is none at all."""

    def __init__(self, id: str, kind: str) -> None:
        self.id, self.kind = id, kind
        # The load's thread that asked.
        self.thread = int(id.split("-")[1]) if kind else None
        self.status, self.body, self.headers = 0, b"", {}
        self.began = self.ended = 0.0

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def json(self):
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.kind} {self.id}: {self.status} {self.body[:200]!r}"


def ask(address: str, method: str, path: str, body=None, key: str | None = None, id: str = "test", kind: str = "", headers: dict | None = None) -> Answer:
    """One request over a connection of its own."""
    answer = Answer(id, kind)
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", "x-request-id": id, **(headers or {})}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    answer.began = time.monotonic()
    try:
        connection.request(method, path, data, sent)
        got = connection.getresponse()
        answer.headers = {name.lower(): value for name, value in got.getheaders()}
        answer.body = got.read()
        answer.status = got.status
    except (OSError, http.client.HTTPException) as error:
        answer.body = repr(error).encode()
    answer.ended = time.monotonic()
    connection.close()
    return answer


def exited(pid: int) -> None:
    """Waits for the end of a process that need not be a child."""
    try:
        waited = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(waited, select.POLLIN)
    if not poll.poll(PATIENCE * 1000):
        raise TimeoutError(f"process {pid} goes on")
    os.close(waited)


class Nginx:
    """Nginx by the shipped configuration, with addresses, port and log of this test."""

    def __init__(self, folder: pathlib.Path, replicas: list) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "access.log"
        folder.mkdir()
        self.write(replicas)
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        self.child = subprocess.Popen(command)
        until = time.monotonic() + PATIENCE
        while ask(self.address, "GET", "/healthz").status != 200:
            if self.child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"nginx does not serve: {(folder / 'error.log').read_text()[-2000:]}")

    def write(self, replicas: list, down: str | None = None) -> None:
        shipped = (ROOT / "config" / "nginx" / "boathouse.conf").read_text()
        for at in range(REPLICAS):
            told = replicas[at] + (" down" if replicas[at] == down else "")
            shipped, count = re.subn(rf"server 10\.0\.0\.{at + 1}:8642", f"server {told}", shipped)
            assert count == 2, "the shipped configuration names each replica twice"
        for before, after in {"listen 80;": f"listen {self.address};", "/var/log/nginx/boathouse.log": str(self.log)}.items():
            assert before in shipped
            shipped = shipped.replace(before, after)
        (self.folder / "boathouse.conf").write_text(shipped)
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\nworker_processes 2;\npid {self.folder}/pid;\nevents {{ worker_connections 512; }}\nhttp {{\n{paths}include {self.folder}/boathouse.conf;\n}}\n"
        )

    def workers(self) -> list:
        children = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def reload(self, replicas: list, down: str | None = None) -> None:
        """Returns when no worker goes by the configuration of before."""
        old = self.workers()
        self.write(replicas, down)
        self.child.send_signal(signal.SIGHUP)
        for pid in old:
            exited(pid)

    def stop(self) -> None:
        """Lets it finish what is under way; its log is whole then."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGQUIT)
            self.child.wait(timeout=PATIENCE)

    def lines(self) -> dict:
        """By id, the replicas that a request was given to, the last one last."""
        found: dict = {}
        for line in self.log.read_text().splitlines():
            one = json.loads(line)
            found.setdefault(one["id"], []).extend(one["replica"].split(", "))
        return found


class Load:
    """Threads that ask for one thing after the other, each with an id that no other has."""

    def __init__(self, address: str, key: str, name: str, collection: str) -> None:
        self.address, self.key, self.name, self.collection = address, key, name, collection
        self.answers: list[list[Answer]] = [[] for _ in range(THREADS)]
        self.points: dict[str, dict] = {}
        self.stopping = threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(THREADS)
        self.running = [self.pool.submit(self.run, thread) for thread in range(THREADS)]

    def run(self, thread: int) -> None:
        while not self.stopping.is_set():
            self.one(thread, len(self.answers[thread]))

    def one(self, thread: int, n: int) -> None:
        id = f"{self.name}-{thread}-{n}"
        text = f"{WORDS[(n + thread) % len(WORDS)]} {WORDS[n % 5]} {id}"
        path = f"/v1/collections/{self.collection}"
        # Each thread begins elsewhere, so that every kind is under way at any time.
        match (n + thread) % 4:
            case 0:
                points = [{"id": f"{id}.{part}", "text": f"{text} part {part}", "payload": {"thread": thread, "n": n}} for part in range(3)]
                self.points.update({point["id"]: point for point in points})
                found = ask(self.address, "POST", f"{path}/points", {"points": points}, self.key, id, "write")
            case 1:
                found = ask(self.address, "POST", f"{path}/search", {"query": text, "k": 5}, self.key, id, "search")
            case 2:
                found = ask(self.address, "POST", "/v1/embeddings", {"input": text}, self.key, id, "embed")
            case 3:
                body = {"model": "extractive", "messages": [{"role": "user", "content": text}], "retrieval": {"collection": self.collection, "k": 3}}
                found = ask(self.address, "POST", "/v1/chat/completions", body, self.key, id, "chat")
        self.answers[thread].append(found)

    def wait_for(self, more: int) -> None:
        """Until each thread has so many more answers."""
        goal = [len(answers) + more for answers in self.answers]
        until = time.monotonic() + PATIENCE
        while any(len(answers) < least for answers, least in zip(self.answers, goal)):
            self.checked(until)

    def checked(self, until: float) -> None:
        if time.monotonic() > until:
            raise TimeoutError(f"the load stands still: {[len(answers) for answers in self.answers]}")
        for one in self.running:
            if one.done():
                one.result()
        # Lets the threads of the load have their turn.
        concurrent.futures.wait(self.running, timeout=0.01)

    def standing(self) -> frozenset:
        """The threads that got no answer while the others together got twenty for each thread."""
        had = [len(answers) for answers in self.answers]
        until = time.monotonic() + PATIENCE
        while sum(len(answers) for answers in self.answers) < sum(had) + 20 * THREADS:
            self.checked(until)
        return frozenset(thread for thread, answers in enumerate(self.answers) if len(answers) == had[thread])

    def stop(self) -> list:
        self.stopping.set()
        self.pool.shutdown()
        for one in self.running:
            one.result()
        return [answer for answers in self.answers for answer in answers]

    def acknowledged(self) -> dict:
        """The points of writes that succeeded, as the client knows it."""
        good = {answer.id for answers in self.answers for answer in answers if answer.kind == "write" and answer.good}
        return {id: point for id, point in self.points.items() if id.rsplit(".", 1)[0] in good}


class House:
    """Three replicas with the same keys, an nginx and a Qdrant."""

    def __init__(self) -> None:
        self.closing = contextlib.ExitStack()
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.closing.close()

    def start(self) -> None:
        self.folder = pathlib.Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        self.double = Double()
        self.closing.callback(self.double.close)
        self.env = {
            "BOATHOUSE__BACKENDS__QDRANT__URL": self.double.url,
            "BOATHOUSE__BACKENDS__DEFAULT": "qdrant",
            # The double answers one call after the other, and the machine may be busy.
            "BOATHOUSE__BACKENDS__QDRANT__TIMEOUT_MS": str(PATIENCE * 1000),
            "BOATHOUSE__HTTP__DEADLINE_MS": str(PATIENCE * 1000),
            # What one replica makes is found by the others when they are asked for it, not when they look around.
            "BOATHOUSE__BACKENDS__REFRESH_MS": "600000",
        }
        self.key = self.command("keys", "new", "app", "--scope", "admin")
        for n in range(1, REPLICAS):
            self.data(n).mkdir()
            self.give_keys(n)
        self.replicas = []
        for n in range(REPLICAS):
            self.replicas.append(Server(BINARY, str(self.data(n)), self.env))
            self.closing.callback(self.end, n)
        self.nginx = Nginx(self.folder / "nginx", self.addresses())
        self.closing.callback(lambda: self.nginx.stop())

    def data(self, n: int) -> pathlib.Path:
        return self.folder / f"replica-{n + 1}"

    def command(self, *arguments: str, n: int = 0) -> str:
        """What a command over the folder of a replica prints."""
        command = [BINARY, *arguments, "--data", str(self.data(n))]
        ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.env})
        if ran.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)}: status {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran.stdout.strip()

    def give_keys(self, n: int) -> None:
        """Brings the keys of the first replica to another: the file is replaced as a whole, beside the server."""
        given = self.data(n) / "keys.json.new"
        shutil.copyfile(self.data(0) / "keys.json", given)
        given.chmod(0o600)
        given.rename(self.data(n) / "keys.json")

    def end(self, n: int) -> None:
        child = self.replicas[n].child
        if child.poll() is None:
            child.kill()
            child.wait(timeout=PATIENCE)
        child.stdout.close()
        self.replicas[n].log.close()

    def address(self, n: int) -> str:
        return self.replicas[n].url.removeprefix("http://")

    def addresses(self) -> list:
        return [self.address(n) for n in range(REPLICAS)]

    def ask(self, n: int | None, method: str, path: str, body=None, **more) -> Answer:
        """Of one replica, or of nginx."""
        address = self.nginx.address if n is None else self.address(n)
        return ask(address, method, path, body, **{"key": self.key, **more})

    def good(self, *arguments, **more):
        answer = self.ask(*arguments, **more)
        if not answer.good:
            raise AssertionError(f"{arguments}: {answer}")
        return answer.json()

    def scroll(self, n: int, name: str = "docs") -> dict:
        """Every point of a collection, by id."""
        found, after = {}, None
        while True:
            page = self.good(n, "POST", f"/v1/collections/{name}/points/scroll", {"limit": 1000, **({} if after is None else {"after": after})})
            found.update({point["id"]: point for point in page["points"]})
            after = page["next"]
            if after is None:
                return found

    def kill(self, n: int) -> tuple:
        """When it was killed: just before, and when it was gone."""
        child = self.replicas[n].child
        before = time.monotonic()
        child.kill()
        child.wait(timeout=PATIENCE)
        return before, time.monotonic()

    def start_again(self, n: int) -> None:
        self.replicas[n].child.stdout.close()
        self.replicas[n].start()

    def journal(self, n: int) -> list:
        files = sorted((self.data(n) / "evidence").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def eventually(found) -> bool:
    until = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > until:
            return False
    return True


class Loaded(unittest.TestCase):
    """Each test has a house of its own, with a collection, and a load upon it."""

    def setUp(self) -> None:
        self.house = House()
        self.addCleanup(self.house.close)
        # What the replicas are called in nginx's log; one that is started again has another port.
        self.names = self.house.addresses()
        self.house.good(None, "PUT", "/v1/collections/docs", {})
        self.load = Load(self.house.nginx.address, self.house.key, "load", "docs")
        self.addCleanup(self.load.stop)

    def check_nothing_lost(self, answers: list, readers: list) -> None:
        """Every acknowledged write is there as it was written; what is there besides was being written."""
        acknowledged = self.load.acknowledged()
        self.assertGreater(len(acknowledged), THREADS)
        doubtful = {answer.id for answer in answers if not answer.good}
        for n in readers:
            found = self.house.scroll(n)
            self.assertEqual([id for id in acknowledged if id not in found], [], f"replica {n + 1} does not have acknowledged points")
            for id, point in acknowledged.items():
                self.assertEqual((found[id]["text"], found[id]["payload"]), (point["text"], point["payload"]))
            more = {id.rsplit(".", 1)[0] for id in found if id not in acknowledged}
            self.assertLessEqual(more, doubtful, "points that nobody was writing")

    def check_failures(self, answers: list, victim: int, killed: tuple) -> list:
        """Each was under way when the victim died, one for each thread at most, and was given to the victim alone."""
        failures = [answer for answer in answers if not answer.good]
        self.house.nginx.stop()
        given = self.house.nginx.lines()
        for answer in failures:
            self.assertEqual(given[answer.id], [self.names[victim]], f"not at the killed replica: {answer}")
            self.assertLessEqual(answer.began, killed[1], f"began after the death: {answer}")
            self.assertGreaterEqual(answer.ended, killed[0], f"ended before it: {answer}")
            self.assertIn(answer.status, (0, 502), answer)
        self.assertEqual(len({answer.thread for answer in failures}), len(failures), f"a thread has one request under way: {failures}")
        return failures

    def check_evidence(self, answers: list) -> None:
        """Each acknowledged search and chat is in the journal of the replica that answered it and nowhere else; nothing was done twice."""
        given = self.house.nginx.lines()
        where: dict = {}
        for n in range(REPLICAS):
            self.house.command("audit", n=n)
            for record in self.house.journal(n):
                where.setdefault(record["body"].get("request_id", record["id"]), []).append(self.names[n])
        for answer in answers:
            found = where.get(answer.id, [])
            if not answer.good:
                self.assertLessEqual(len(found), 1, f"done twice: {answer}")
            elif answer.kind in ("search", "chat"):
                self.assertEqual(found, [given[answer.id][-1]], f"evidence of {answer}")
        self.assertLessEqual(set(self.names), {name for names in where.values() for name in names}, "a replica has no evidence")

    def check_after(self, answers: list, victim: int, killed: tuple) -> list:
        failures = self.check_failures(answers, victim, killed)
        self.check_nothing_lost(answers, [n for n in range(REPLICAS) if n != victim])
        self.house.start_again(victim)
        self.check_nothing_lost(answers, [victim])
        self.check_evidence(answers)
        collections = [self.house.good(n, "GET", "/v1/collections")["collections"] for n in range(REPLICAS)]
        self.assertEqual(collections, [collections[0]] * REPLICAS)
        self.assertEqual([one["name"] for one in collections[0]], ["docs"])
        return failures


class Killed(Loaded):
    def test_what_was_acknowledged_outlives_a_replica_that_is_killed_under_load(self) -> None:
        victim = 1
        self.load.wait_for(BEFORE)
        killed = self.house.kill(victim)
        self.load.wait_for(AFTER)
        answers = self.load.stop()
        self.assertGreaterEqual(len(answers), THREADS * (BEFORE + AFTER))
        failures = self.check_after(answers, victim, killed)
        kinds = ", ".join(sorted(one.kind for one in failures)) or "nothing"
        print(f"killed under load: {len(failures)} of {len(answers)} requests failed, with {kinds} under way at the killed one", flush=True)

    def test_what_a_replica_that_stands_still_was_given_fails_when_it_dies_and_nothing_else(self) -> None:
        victim = 0
        self.load.wait_for(5)
        # What it is given from now on stays with it, so that something is under way when it dies.
        self.house.replicas[victim].child.send_signal(signal.SIGSTOP)
        stuck: frozenset = frozenset()
        while not stuck:
            stuck = self.load.standing()
        killed = self.house.kill(victim)
        self.load.wait_for(10)
        answers = self.load.stop()
        failures = self.check_after(answers, victim, killed)
        self.assertLessEqual(stuck, {answer.thread for answer in failures}, "an answer of a process that stood still")
        print(f"killed while it stood still: {len(failures)} of {len(answers)} requests failed, of {THREADS} threads", flush=True)

    def test_nginx_gives_a_replica_that_came_back_requests_again(self) -> None:
        victim = 2
        self.house.kill(victim)
        self.load.wait_for(5)
        self.house.start_again(victim)
        self.house.nginx.reload(self.house.addresses())
        came = len(self.house.journal(victim))
        self.assertTrue(eventually(lambda: len(self.house.journal(victim)) > came + THREADS))
        self.load.stop()


class Upgraded(Loaded):
    def test_replicas_are_replaced_one_after_the_other_without_a_failure(self) -> None:
        self.load.wait_for(5)
        for n in range(REPLICAS):
            self.house.nginx.reload(self.house.addresses(), down=self.house.address(n))
            child = self.house.replicas[n].child
            child.send_signal(signal.SIGTERM)
            self.assertEqual(child.wait(timeout=PATIENCE), 0)
            self.house.start_again(n)
            self.house.nginx.reload(self.house.addresses())
            self.load.wait_for(10)
        answers = self.load.stop()
        self.assertEqual([answer for answer in answers if not answer.good], [])
        self.check_nothing_lost(answers, list(range(REPLICAS)))
        for n in range(REPLICAS):
            self.house.command("audit", n=n)


class Together(unittest.TestCase):
    """What replicas share and what each has for itself: all in one house."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.house = House()
        cls.addClassCleanup(cls.house.close)

    def statuses(self, method: str, path: str, body=None, **more) -> list:
        return [self.house.ask(n, method, path, body, **more).status for n in range(REPLICAS)]

    def test_collections_and_points_are_seen_by_all_at_once(self) -> None:
        good = self.house.good
        for n in range(REPLICAS):
            path, others = f"/v1/collections/c{n}", [one for one in range(REPLICAS) if one != n]
            made = good(n, "PUT", path, {"fields": {"n": "integer"}})
            for other in others:
                self.assertEqual(good(other, "GET", path)["created_ms"], made["created_ms"])
            for at, reader in enumerate([*others, *others]):
                good(n, "POST", f"{path}/points", {"points": [{"id": str(at), "text": f"boat {WORDS[at]}", "payload": {"n": at}}]})
                hits = good(reader, "POST", f"{path}/search", {"query": WORDS[at], "filter": {"n": at}})["hits"]
                self.assertEqual([hit["id"] for hit in hits], [str(at)])
            good(others[0], "POST", f"{path}/points/delete", {"ids": ["0"]})
            self.assertEqual(self.statuses("GET", f"{path}/points/0"), [404] * REPLICAS)
            good(others[1], "DELETE", path)
            self.assertEqual(self.statuses("POST", f"{path}/search", {"query": "boat"}), [404] * REPLICAS)

    def test_an_answer_of_one_replica_is_judged_at_another(self) -> None:
        answer = self.house.good(0, "POST", "/v1/chat/completions", {"model": "extractive", "messages": [{"role": "user", "content": "boat"}]}, id="asked")
        self.house.good(1, "POST", "/v1/feedback", {"target": answer["id"], "rating": "accepted"}, id="judged")
        records = [[record for record in self.house.journal(n) if "asked" in json.dumps(record) or "judged" in json.dumps(record)] for n in range(REPLICAS)]
        self.assertEqual([[record["kind"] for record in some] for some in records], [["chat"], ["feedback"], []])
        self.assertEqual(records[1][0]["body"]["target"], answer["id"])

    def test_a_key_has_its_requests_a_minute_at_each_replica(self) -> None:
        guest = self.house.command("keys", "new", "guest", "--scope", "chat", "--rpm", "4")
        for n in range(1, REPLICAS):
            self.house.give_keys(n)
        for n in range(REPLICAS):
            look = lambda: self.house.ask(n, "GET", "/v1/models", key=guest).status
            self.assertTrue(eventually(lambda: look() == 200), "the new key is not noticed")
            self.assertEqual([look() for _ in range(4)], [200] * 3 + [429], f"replica {n + 1}")
        refused = self.house.ask(None, "GET", "/v1/models", key=guest)
        self.assertEqual((refused.status, "retry-after" in refused.headers), (429, True), refused)

    def test_a_revoked_key_is_good_where_the_file_is_the_old_one(self) -> None:
        leaver = self.house.command("keys", "new", "leaver", "--scope", "chat")
        for n in range(1, REPLICAS):
            self.house.give_keys(n)
        self.assertTrue(eventually(lambda: self.statuses("GET", "/v1/models", key=leaver) == [200] * REPLICAS))
        self.house.command("keys", "revoke", leaver.split("_")[1])
        self.house.give_keys(1)
        self.assertTrue(eventually(lambda: self.statuses("GET", "/v1/models", key=leaver) == [401, 401, 200]))
        self.house.give_keys(2)
        self.assertTrue(eventually(lambda: self.statuses("GET", "/v1/models", key=leaver) == [401] * REPLICAS))

    def test_each_has_its_own_cache(self) -> None:
        def hits() -> list:
            texts = [self.house.ask(n, "GET", "/metrics").body.decode() for n in range(REPLICAS)]
            return [int(re.search(r"^boathouse_embedding_cache_hits_total (\d+)", text, re.M)[1]) for text in texts]

        before = hits()
        vectors = [self.house.good(n, "POST", "/v1/embeddings", {"input": "a text that each embeds"})["data"][0]["embedding"] for n in (0, 0, 1)]
        self.assertEqual(vectors[0], vectors[2])
        self.assertEqual([now - then for now, then in zip(hits(), before)], [1, 0, 0])

    def test_what_is_of_one_replica_is_not_asked_of_any(self) -> None:
        own = [("GET", "/v1/evidence/head"), ("GET", "/metrics"), ("POST", "/v1/materialize"), ("GET", "/v1/supervisors"), ("GET", "/v1/collections/docs/move"), ("POST", "/v1/validators/reload"), ("POST", "/v1/pull")]
        for method, path in own:
            answer = self.house.ask(None, method, path, {} if method == "POST" else None)
            self.assertEqual((answer.status, answer.json()["status"]), (421, 421), answer)
        for path in ("/v1/validators", "/v1/collections", "/readyz", "/openapi.json"):
            self.house.good(None, "GET", path)

    def test_a_browser_stays_with_the_replica_it_logged_in_at(self) -> None:
        form = urllib.parse.urlencode({"key": self.house.key, "next": "/console"}).encode()
        page = {"content-type": "application/x-www-form-urlencoded", "origin": f"http://{self.house.nginx.address}"}
        entered = self.house.ask(None, "POST", "/console/login", form, key=None, headers=page)
        self.assertEqual(entered.status, 303, entered)
        cookie = {"cookie": entered.headers["set-cookie"].split(";")[0]}
        for path in ["/console", "/v1/models"] * 6:
            self.assertEqual(self.house.ask(None, "GET", path, key=None, headers=cookie).status, 200, path)
        self.assertEqual(sorted(self.statuses("GET", "/v1/models", key=None, headers=cookie)), [200, 401, 401])


if __name__ == "__main__":
    BINARY, NGINX = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main(verbosity=2)
