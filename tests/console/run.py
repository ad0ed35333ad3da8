"""Starts a server with something in it and a browser before it, and runs the tests or takes the pictures."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import screenshots  # noqa: E402
import shared  # noqa: E402
from browser import Browser  # noqa: E402
from served import Served  # noqa: E402
from upstream import Upstream  # noqa: E402


def main() -> int:
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder, Upstream() as upstream, Served(binary, folder, upstream.url) as served:
        served.fill()
        browser = Browser(served.url)
        try:
            if "--screenshots" in sys.argv:
                screenshots.take(browser, served)
                return 0
            shared.BROWSER, shared.SERVED, shared.UPSTREAM = browser, served, upstream
            suite = unittest.defaultTestLoader.discover(str(HERE))
            result = unittest.TextTestRunner(verbosity=1).run(suite)
        finally:
            browser.close()
        if not result.wasSuccessful():
            served.log.seek(0)
            print(served.log.read()[-5000:], file=sys.stderr)
        return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
