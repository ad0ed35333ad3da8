"""Collections that go over to another backend and back, over HTTP: while they are asked and written, and killed in the middle."""

import pathlib
import random
import threading
import time

import oracle
from served import Collection, Failed

DIM = 8
# Several steps of a move.
STILL = 4000
WORDS = "boat lake rudder anchor mast keel bow stern sail rope dock pier buoy helm".split()
# Longest that a busy machine takes for what is waited for.
PATIENCE = 240


def point_of(dice: random.Random, name: str, by: str) -> dict:
    vector = [oracle.f32(dice.uniform(-1, 1)) for _ in range(DIM)]
    payload = {"by": by, "year": dice.randint(2000, 2030), "tags": dice.sample(WORDS, 2), "big": dice.choice([2**53, 2**53 + 1])}
    return {"id": name, "vector": vector, "text": " ".join(dice.choices(WORDS, k=dice.randint(1, 12))), "payload": payload}


class Writer(threading.Thread):
    """Writes points that nobody else writes, and knows what must be there."""

    def __init__(self, made: Collection, name: str, seed: int) -> None:
        super().__init__()
        self.made, self.by = made, name
        self.dice = random.Random(seed)
        self.there: dict = {}
        self.rounds = 0
        self.error: Exception | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self.write()
        except Exception as error:
            self.error = error

    def write(self) -> None:
        """Ids that sort before, among and after those that stay."""
        names = [f"{self.dice.choice('aps')}-{self.by}-{n}" for n in self.dice.sample(range(100), 5)]
        what = self.dice.random()
        if what < 0.6:
            points = [point_of(self.dice, name, self.by) for name in names]
            assert self.made.upsert(points) == 5
            self.there |= {point["id"]: point for point in points}
        elif what < 0.9:
            gone = [name for name in names if self.there.pop(name, None)]
            deleted = self.made.delete(ids=names)
            assert deleted == len(gone), (deleted, gone)
        else:
            year = self.dice.randint(2000, 2030)
            gone = [name for name, point in self.there.items() if point["payload"]["year"] == year]
            deleted = self.made.delete(filter={"by": self.by, "year": year})
            assert deleted == len(gone), (deleted, gone)
            self.there = {name: point for name, point in self.there.items() if name not in gone}
        self.rounds += 1

    def end(self) -> dict:
        self.ended.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.there


class MoveCases:
    """Between the index of our own and another backend."""

    # More than a busy machine needs.
    timeout_ms = 60_000

    def setUp(self) -> None:
        self.server = self.backend.server
        self.other = self.backend.name
        self.made = self.backend.collection(backend="hnsw", metric="cosine", fields={"year": "integer", "by": "keyword"})
        dice = random.Random(5)
        points = [point_of(dice, f"p-{n:05}", "still") for n in range(STILL)]
        self.made.upsert(points)
        self.still = {point["id"]: point for point in points}
        self.queries = []
        for _ in range(8):
            vector = [oracle.f32(dice.uniform(-1, 1)) for _ in range(DIM)]
            year = dice.randint(2005, 2025)
            condition = {"by": "still", "year": {"$gte": year}}
            matching = {name: point for name, point in self.still.items() if oracle.matches(condition, point["payload"])}
            self.queries.append((vector, condition, self.nearest(matching, vector), len(matching)))

    def tearDown(self) -> None:
        if self.backend.double is not None:
            self.unstick()
        self.made.remove()

    def unstick(self) -> None:
        """What hangs in the double hangs no more, and no call hangs from now on."""
        self.backend.double.fail()
        self.backend.double.down()
        self.backend.double.up()

    def within(self, ask, found, told="not in time"):
        """What `ask` says, when it is what is waited for."""
        ended = time.monotonic() + PATIENCE
        while not found(said := ask()):
            if time.monotonic() > ended:
                self.fail(f"{told}: {said}")
        return said

    def nearest(self, points: dict, vector: list) -> list:
        return oracle.ranked({name: oracle.score("cosine", vector, point["vector"]) for name, point in points.items()})

    def near(self, hits: list, expected: list, delta: float = 1e-5) -> None:
        """The hits are the first of `expected`; equal scores may change places where floats round."""
        scores = dict(expected)
        self.assertEqual(len({hit["id"] for hit in hits}), len(hits))
        for hit, (_, value) in zip(hits, expected):
            self.assertAlmostEqual(hit["score"], value, delta=delta)
            self.assertAlmostEqual(hit["score"], scores[hit["id"]], delta=delta)

    def answers(self, number: int) -> None:
        """What nobody writes is found as ever."""
        vector, condition, expected, count = self.queries[number % len(self.queries)]
        hits = self.made.search(vector=vector, k=10, exact=True, filter=condition)
        self.assertEqual(len(hits), 10)
        self.near(hits, expected)
        self.assertEqual(self.made.count(filter=condition), count)
        self.assertEqual(self.made.count(filter={"by": "still"}), STILL)

    def holds(self, there: dict) -> None:
        """It has these points and no others, and searches go by them."""
        self.assertEqual(self.made.count(), len(there))
        found = {point["id"]: point for point in self.made.scroll(limit=1000)}
        self.assertEqual(found.keys(), there.keys())
        for name, point in there.items():
            self.assertEqual([found[name]["text"], found[name]["payload"]], [point["text"], point["payload"]])
        for name in random.Random(6).sample(sorted(there), 20):
            vector = self.made.point(name)["vector"]
            self.assertAlmostEqual(oracle.score("cosine", vector, there[name]["vector"]), 1, delta=1e-6)
        texts = {name: point["text"] for name, point in there.items()}
        average = self.backend.average if self.where() == "qdrant" else None
        for at, (vector, *_) in enumerate(self.queries):
            hits = self.made.search(vector=vector, k=10, exact=True)
            self.assertEqual(len(hits), 10)
            self.near(hits, self.nearest(there, vector))
            self.answers(at)
            scores = oracle.bm25(texts, WORDS[at], average)
            hits = self.made.search(query=WORDS[at], mode="lexical", k=10)
            self.assertEqual(len(hits), 10)
            # How rare a word is Qdrant counts with what was deleted and replaced, until it has cleared that away.
            self.near(hits, oracle.ranked(scores), 1e-5 if average is None else 0.05)

    def where(self) -> str:
        """The backend that it says keeps it; its own process is not named."""
        return self.made.describe().get("backend", "hnsw")

    def begin(self, to: str) -> None:
        begun = self.server.ask("POST", f"{self.made.path}/move", {"to": to})
        self.assertEqual([begun["state"], begun["to"]], ["running", to])

    def state(self) -> dict:
        return self.server.ask("GET", f"{self.made.path}/move")

    def ends(self, to: str) -> dict:
        """The move, while it is searched; it ends where it was to."""
        asked = 0

        def look() -> dict:
            nonlocal asked
            self.answers(asked)
            asked += 1
            return self.state()

        told = self.within(look, lambda told: told.get("state", "running") != "running")
        self.assertEqual([told["state"], told["to"], told.get("error")], ["done", to, None])
        self.assertGreaterEqual(told["same_neighbours"], 0.9)
        self.assertEqual(self.where(), to)
        return told

    def folders(self, pattern: str) -> list:
        return sorted(path.name for path in pathlib.Path(self.server.folder).glob(f"collections/{pattern}"))

    def test_a_collection_goes_over_and_back_while_it_is_asked_and_written(self) -> None:
        there = self.still
        for round, to in enumerate((self.other, "hnsw", self.other, "hnsw")):
            writers = [Writer(self.made, f"{round}-{n}", 10 * round + n) for n in range(2)]
            for writer in writers:
                writer.start()
            try:
                self.begin(to)
                self.ends(to)
            finally:
                for writer in writers:
                    writer.ended.set()
            for writer in writers:
                there = there | writer.end()
                self.assertGreater(writer.rounds, 0)
            self.holds(there)
            # Nothing of the move is left.
            self.assertEqual(self.folders(".*"), [])
            self.assertEqual(self.folders(self.made.name), [self.made.name] if to == "hnsw" else [])
        self.server.restart()
        self.holds(there)

    def test_a_move_that_is_killed_goes_on_after_the_next_start(self) -> None:
        there = dict(self.still)
        for round, (to, copies) in enumerate(((self.other, "Upsert"), ("hnsw", "Scroll"))):
            if self.backend.double is not None:
                self.backend.double.fail({"method": copies, "skip": 2, "count": 1000, "hang": 300})
            self.begin(to)
            self.within(self.state, lambda told: told["done"] > 0)
            writer = Writer(self.made, f"{round}", round)
            # Without a double nothing holds it: it would be over by then.
            if self.backend.double is not None and to != "hnsw":
                for _ in range(4):
                    writer.write()
            self.server.kill()
            # In the middle: what was copied lies beside the collection, which is where it was.
            self.assertEqual(self.folders(".move-*.json"), [f".move-{self.made.name}.json"])
            self.assertEqual(self.folders(self.made.name), [] if to == "hnsw" else [self.made.name])
            self.assertEqual(self.folders(".moving-*"), [f".moving-{self.made.name}"] if to == "hnsw" else [])
            if self.backend.double is not None:
                self.unstick()
            self.server.start()
            self.served()
            writer.start()
            try:
                self.ends(to)
            finally:
                writer.ended.set()
            there |= writer.end()
            self.holds(there)
            self.assertEqual(self.folders(".*"), [])

    def test_a_move_that_is_killed_when_it_went_over_is_over_after_the_next_start(self) -> None:
        held = self.backend.double is not None
        # Its description is written as it is created, and again when it is no draft any more.
        for to, clears, before in ((self.other, "Update", 1), ("hnsw", "Delete", 0)):
            if held:
                self.backend.double.fail({"method": clears, "skip": before, "count": 1000, "hang": 300})
            self.begin(to)
            # The old side is there no more, or the new one is already.
            appears = f".moved-{self.made.name}" if to != "hnsw" else self.made.name
            # Where no double holds that moment it may have passed when it is looked for; what is asked after is the same.
            self.within(lambda: self.folders(appears) or (not held and not self.folders(".move-*.json")), bool)
            self.server.kill()
            if held:
                self.assertEqual(self.folders(".move-*.json"), [f".move-{self.made.name}.json"])
                self.unstick()
            self.server.start()
            self.served()
            self.within(lambda: self.folders(".*"), lambda left: left == [])
            self.assertEqual(self.where(), to)
            self.holds(self.still)

    def served(self) -> None:
        """It is, in a while: an engine is asked beside the start."""

        def ask() -> bool:
            try:
                return self.made.count() >= 0
            except Failed as failed:
                self.assertIn(failed.status, (404, 503))
                return False

        self.within(ask, bool)
