"""A backend, served by a process of its own."""

import os
import uuid

from asked import DIM
from served import Bucket, Collection, Double, Failed, Server


class Backend:
    """How a backend is had, and where it is allowed to differ."""

    # Average length of a text that BM25 goes by; none: that of the texts there are.
    average: float | None = None
    # Statuses with which it may refuse what it cannot answer.
    refuses: tuple = ()

    def __init__(self, name: str, binary: str, folder: str, timeout_ms: int = 60_000) -> None:
        self.name, self.double, self.bucket = name.removesuffix("-bucket"), None, None
        env = {}
        if name == "qdrant":
            url = os.environ.get("QDRANT_URL")
            if url is None:
                self.double = Double()
                url = self.double.url
            env["BOATHOUSE__BACKENDS__QDRANT__URL"] = url
            env["BOATHOUSE__BACKENDS__QDRANT__TIMEOUT_MS"] = str(timeout_ms)
            env["BOATHOUSE__BACKENDS__QDRANT__PREFIX"] = f"suite-{uuid.uuid4().hex[:12]}-"
            self.average = 100.0
            self.refuses = (400,)
        if self.name == "lance":
            env["BOATHOUSE__BACKENDS__LANCE__URI"] = f"{folder}.lance"
            self.refuses = (400,)
        if name == "lance-bucket":
            self.bucket = Bucket()
            env |= self.bucket.env
            env["BOATHOUSE__BACKENDS__LANCE__URI"] = self.bucket.url
        self.env = env
        try:
            self.server = Server(binary, folder, env)
        except RuntimeError:
            self.close_engine()
            raise
        self.made = 0

    def collection(self, **body) -> Collection:
        self.made += 1
        return Collection(self.server, f"c{self.made}", **{"backend": self.name, "embedder": None, "dim": DIM, **body})

    def close(self) -> None:
        for one in self.server.ask("GET", "/v1/collections")["collections"]:
            self.server.ask("DELETE", f"/v1/collections/{one['name']}")
        self.server.close()
        self.close_engine()

    def close_engine(self) -> None:
        for engine in (self.double, self.bucket):
            if engine is not None:
                engine.close()


class Refusal:
    """An error of this status, with these words."""

    def __init__(self, test, status: int, words: tuple) -> None:
        self.test, self.status, self.words = test, status, words

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _trace) -> bool:
        if kind is not None and not isinstance(error, Failed):
            return False
        self.test.assertIsNotNone(error, f"expected {self.status}, and it was answered")
        self.test.assertEqual(error.status, self.status, error)
        for word in self.words:
            self.test.assertIn(word, error.message)
        self.error = error
        return True
