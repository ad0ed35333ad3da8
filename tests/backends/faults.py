"""An engine that fails."""

import threading

from asked import DIM
from backend import Backend, Refusal
from replicas import eventually
from served import Collection, Failed


class FaultCases:
    """What an engine's faults do, and do not do."""

    backend: Backend
    # What is never answered must be given up in a while.
    timeout_ms = 10_000

    def setUp(self) -> None:
        self.double = self.backend.double
        if self.double is None:
            self.skipTest("faults need the double")
        self.double.up()
        self.double.fail()
        self.vector = [1.0] * DIM
        # What an earlier fault has it left alone for is over.
        eventually(self.backend.collection)

    tearDown = setUp

    def refused(self, status, *words: str):
        return Refusal(self, status, words)

    def test_an_outage_is_told_and_is_over_when_it_is_over(self) -> None:
        made = self.backend.collection()
        own = Collection(self.backend.server, "own", "hnsw", embedder=None, dim=DIM)
        for one in (made, own):
            one.upsert([{"id": "a", "vector": self.vector, "text": "boat"}])
        self.double.down()
        asks = [
            lambda: made.count(),
            lambda: made.search(vector=self.vector),
            lambda: made.point("a"),
            lambda: made.upsert([{"id": "b", "vector": self.vector}]),
            lambda: made.delete(ids=["a"]),
            lambda: made.page(),
            lambda: self.backend.collection(),
        ]
        for ask in asks:
            with self.refused(503, "qdrant") as refusal:
                ask()
            self.assertNotIn("127.0.0.1", refusal.error.message)
        # By now it is left alone.
        with self.refused(503, "left alone") as refusal:
            made.count()
        self.assertGreaterEqual(int(refusal.error.headers["retry-after"]), 1)
        self.assertEqual(own.count(), 1)
        self.backend.server.ask("GET", "/healthz")
        names = [one["name"] for one in self.backend.server.ask("GET", "/v1/collections")["collections"]]
        self.assertIn(made.name, names)
        self.double.up()
        self.assertEqual(eventually(made.count), 1)
        self.assertEqual(made.search(vector=self.vector)[0]["id"], "a")
        own.remove()

    def test_a_start_without_the_engine_serves_the_rest(self) -> None:
        made = self.backend.collection()
        made.upsert([{"id": "a", "vector": self.vector}])
        own = Collection(self.backend.server, "own2", "hnsw", embedder=None, dim=DIM)
        self.double.down()
        self.backend.server.restart()
        self.assertEqual(own.count(), 0)
        with self.refused(503, "qdrant"):
            made.count()
        self.double.up()
        self.assertEqual(eventually(made.count), 1)
        own.remove()

    def test_a_passing_fault_is_not_seen(self) -> None:
        made = self.backend.collection()
        made.upsert([{"id": "a", "vector": self.vector}])
        for method, ask in {
            "Query": lambda: made.search(vector=self.vector),
            "Count": lambda: made.count(),
            "Upsert": lambda: made.upsert([{"id": "b", "vector": self.vector}]),
            "Delete": lambda: made.delete(ids=["b"]),
            "Scroll": lambda: made.scroll(),
        }.items():
            for after in (False, True):
                # The client asks again itself, and so do we.
                self.double.fail({"method": method, "count": 2, "status": "UNAVAILABLE", "after": after})
                ask()
        self.assertEqual(made.count(), 1)

    def test_what_is_refused_is_not_asked_again(self) -> None:
        made = self.backend.collection()
        self.double.forget_calls()
        self.double.fail({"method": "Query", "count": 1, "status": "INVALID_ARGUMENT"})
        with self.assertRaises(Failed) as refused:
            made.search(vector=self.vector)
        self.assertNotEqual(refused.exception.status, 503)
        self.assertEqual(self.double.calls()["Query"], 1)

    def test_a_write_that_is_only_taken_is_no_success(self) -> None:
        made = self.backend.collection()
        for status in (1, 3, 4):
            self.double.fail({"method": "Upsert", "count": 9, "update_status": status})
            with self.assertRaises(Failed):
                made.upsert([{"id": "a", "vector": self.vector}])
        self.double.fail()
        self.assertEqual(made.upsert([{"id": "a", "vector": self.vector}]), 1)

    def test_a_silent_engine_holds_up_only_who_asks_it(self) -> None:
        made = self.backend.collection()
        made.upsert([{"id": "a", "vector": self.vector}])
        self.double.fail({"method": "Query", "count": 1, "hang": 300})
        answered = []

        def ask() -> None:
            try:
                made.search(vector=self.vector)
            except Failed as failed:
                answered.append(failed.status)

        thread = threading.Thread(target=ask)
        thread.start()
        self.assertEqual(eventually(made.count), 1)
        self.double.down()
        self.double.up()
        thread.join(60)
        self.assertFalse(thread.is_alive())

    def test_a_batch_that_breaks_off_can_be_sent_again(self) -> None:
        made = self.backend.collection()
        points = [{"id": str(n), "vector": self.vector, "payload": {"n": n}} for n in range(3000)]
        self.double.forget_calls()
        made.upsert(points[:1])
        self.assertEqual(self.double.calls()["Upsert"], 1)
        self.double.fail({"method": "Upsert", "skip": 1, "count": 1, "status": "PERMISSION_DENIED"})
        with self.assertRaises(Failed):
            made.upsert(points)
        self.assertLess(made.count(), 3000)
        self.assertEqual(made.upsert(points), 3000)
        self.assertEqual(made.count(), 3000)
