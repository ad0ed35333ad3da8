"""Several servers that ask one engine, and one that is killed: what each is told by the others, and what is kept."""

import http.client
import os
import tempfile
import threading
import time

import oracle
from served import Collection, Failed, Server

DIM = 8


def eventually(ask):
    """It is served, in a while."""
    ended = time.monotonic() + 60
    while True:
        try:
            return ask()
        except Failed:
            if time.monotonic() > ended:
                raise


class ReplicaCases:
    """What is kept by an engine is nobody's own."""

    # More than a busy machine needs.
    timeout_ms = 60_000

    def setUp(self) -> None:
        self.vector = [1.0] * DIM
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        server = self.backend.server
        self.other = Server(server.command[0], os.path.join(folder.name, "data"), self.backend.env)
        self.addCleanup(self.other.close)

    def there(self, made: Collection) -> Collection:
        """The same collection, asked of the other server."""
        return Collection(self.other, made.name, made.backend, **{key: value for key, value in made.body.items() if key != "backend"})

    def test_another_server_finds_the_collections(self) -> None:
        made = self.backend.collection(metric="l2", fields={"year": "integer"})
        made.upsert([{"id": "a", "vector": self.vector, "payload": {"year": 1}}])
        seen = eventually(lambda: self.other.ask("GET", made.path))
        self.assertEqual([seen[key] for key in ("dim", "metric", "fields", "created_ms")], [DIM, "l2", {"year": "integer"}, made.info["created_ms"]])
        self.other.ask("POST", f"{made.path}/points", {"points": [{"id": "b", "vector": self.vector}]})
        self.assertEqual(made.count(), 2)
        # What is made later is found, too.
        later = self.backend.collection()
        later.upsert([{"id": "a", "vector": self.vector}])
        self.assertEqual(eventually(lambda: self.other.ask("POST", f"{later.path}/points/count", {})["count"]), 1)

    def test_servers_that_write_at_the_same_time_lose_nothing(self) -> None:
        made = self.backend.collection(metric="dot", fields={"w": "integer"})
        sides = [made, self.there(made)]
        errors = []

        def write(worker: int, side: Collection) -> None:
            try:
                for n in range(8):
                    own = [{"id": f"{worker}-{n}-{at}", "vector": [float(worker)] * DIM, "text": f"boat {n}", "payload": {"w": worker}} for at in range(5)]
                    shared = [{"id": f"shared-{n}", "vector": [float(worker)] * DIM, "payload": {"w": worker}}]
                    side.upsert(own + shared)
                    # What is answered is there for the other.
                    beside = sides[(worker + 1) % 2]
                    found = beside.point(f"{worker}-{n}-1")
                    assert found["payload"] == {"w": worker}, found
                    if n % 2:
                        deleted = beside.delete(ids=[f"{worker}-{n}-0"])
                        assert deleted == 1, deleted
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(worker, sides[worker % 2])) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        for side in sides:
            self.assertEqual(side.count(), 4 * 36 + 8)
            self.assertEqual(sum(side.count(filter={"w": worker}) for worker in range(4)), 4 * 36 + 8)
            ids = [point["id"] for point in side.scroll(limit=50)]
            self.assertEqual(len(ids), len(set(ids)))
            hits = side.search(query="boat 3", mode="lexical", k=4)
            self.assertEqual({hit["text"] for hit in hits}, {"boat 3"})

    def test_what_was_answered_is_there_when_a_server_is_killed(self) -> None:
        made = self.backend.collection(metric="dot")
        # It is found by name: `PUT` finds it too, and says what it was made with.
        side = self.there(made)
        there: dict = {}
        ended = threading.Event()

        def write() -> None:
            try:
                while not ended.is_set():
                    n = len(there)
                    vector = [oracle.f32(n / 7)] * DIM
                    side.upsert([{"id": f"{n}-{at}", "vector": vector, "payload": {"n": n}} for at in range(3)])
                    there[n] = vector
            except (OSError, http.client.HTTPException):
                # It was killed.
                pass

        writer = threading.Thread(target=write)
        writer.start()
        deadline = time.monotonic() + 60
        while len(there) < 12 and time.monotonic() < deadline:
            made.count()
        self.other.kill()
        ended.set()
        writer.join()
        self.assertGreaterEqual(len(there), 12)
        self.other.start()
        for one in (made, side):
            found = {point["id"]: point for point in eventually(lambda: one.scroll(limit=100))}
            for n in there:
                self.assertEqual([found[f"{n}-{at}"]["payload"] for at in range(3)], [{"n": n}] * 3)
            # Of the last write, which nobody was told of, all is there or nothing.
            self.assertIn(len(found), (3 * len(there), 3 * len(there) + 3))
        side.upsert([{"id": "after", "vector": self.vector}])
        self.assertEqual(made.point("after")["payload"], {})
