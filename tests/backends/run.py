"""Asks every index backend of a binary the same questions over HTTP, and compares with what the documentation says.

run.py BINARY [backend ...]: `hnsw` always, and those of `qdrant`, `qdrant-moves` and `lance` that the binary has, unless some are named.
Only when they are named: `lance-bucket`, the same tables in an S3 of this machine, and `lance-moves`.
"""

import os
import sys
import tempfile
import unittest

from backend import Backend
from cases import Cases
from faults import FaultCases
from moves import MoveCases
from replicas import ReplicaCases


def cases_of(name: str, kind: type, binary: str):
    class One(kind, unittest.TestCase):
        @classmethod
        def setUpClass(cls) -> None:
            cls.folder = tempfile.TemporaryDirectory()
            cls.backend = Backend(name, binary, os.path.join(cls.folder.name, "data"), cls.timeout_ms)

        @classmethod
        def tearDownClass(cls) -> None:
            cls.backend.close()
            cls.folder.cleanup()

    One.__name__ = One.__qualname__ = f"{name.replace('-', '_')}{kind.__name__}"
    return One


def has(binary: str, name: str) -> bool:
    """Whether the binary was built with a backend."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Backend(name, binary, os.path.join(folder, "data")).close()
        except RuntimeError as error:
            if "build with" not in str(error):
                raise
            print(f"{binary} has no {name}")
            return False
    return True


def main() -> None:
    binary, named = sys.argv[1], sys.argv[2:]
    suite = unittest.TestSuite()
    if not named:
        named = ["hnsw", *(name for name in ("qdrant", "lance") if has(binary, name))]
        named += ["qdrant-moves"] if "qdrant" in named else []
    for name in named:
        backend, moves = name.removesuffix("-moves"), name.endswith("-moves")
        # The index of our own has no engine beside it that could fail, and Lance is a library.
        shared = (Cases, ReplicaCases)
        kinds = {"qdrant": (*shared, FaultCases), "lance": shared, "lance-bucket": shared}
        for kind in (MoveCases,) if moves else kinds.get(backend, (Cases,)):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(cases_of(backend, kind, binary)))
    found = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(not found.wasSuccessful())


if __name__ == "__main__":
    main()
