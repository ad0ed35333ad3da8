"""The official packages of npm; skipped where node is not installed."""

import os
import subprocess
import unittest

from expected import URL


class Node(unittest.TestCase):
    @unittest.skipUnless("CLIENTS_NODE" in os.environ, "node is not installed")
    def test_packages_of_npm(self) -> None:
        script = os.environ["CLIENTS_NODE"]
        ran = subprocess.run(["node", script, URL], capture_output=True, text=True, timeout=120)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
