"""python3 -m unittest discover benches/compare"""

import pathlib
import tempfile
import unittest

from refresh import refresh

TABLE = """| what | ratio | last verified |
|---|---|---|
| a | <!--fig a.* .2f-->0.50<!--/fig--> | 2026-01-01 |
| b | <!--fig b ,.0f-->7<!--/fig--> | 2026-01-01 |
| c, seen 2026-01-01 | no figure | 2026-01-01 |
"""


def figure(id, median):
    return {"id": id, "median": median, "low": median, "high": median}


class Refresh(unittest.TestCase):
    def test_what_was_measured_changes_with_its_day_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            document = pathlib.Path(folder) / "table.md"
            document.write_text(TABLE)
            figures = [figure("a.1", 9.0), figure("a.1", 0.831), figure("a.2", 0.94), figure("ab", 3.0)]
            self.assertEqual(refresh(document, figures, "2026-02-03"), 1)
            expected = TABLE.replace(
                "| a | <!--fig a.* .2f-->0.50<!--/fig--> | 2026-01-01 |",
                "| a | <!--fig a.* .2f-->0.83 to 0.94<!--/fig--> | 2026-02-03 |",
            )
            self.assertEqual(document.read_text(), expected)
            self.assertEqual(refresh(document, [figure("b", 12345.6)], "2026-02-04"), 1)
            self.assertIn("| b | <!--fig b ,.0f-->12,346<!--/fig--> | 2026-02-04 |", document.read_text())

    def test_two_figures_stand_in_one_row(self):
        with tempfile.TemporaryDirectory() as folder:
            document = pathlib.Path(folder) / "table.md"
            document.write_text("| <!--fig a .2f-->0.75<!--/fig--> | <!--fig b .0f-->1<!--/fig--> ms | 2026-01-01 |")
            self.assertEqual(refresh(document, [figure("a", 0.5), figure("b", 3.0)], "2026-02-03"), 1)
            self.assertEqual(
                document.read_text(), "| <!--fig a .2f-->0.50<!--/fig--> | <!--fig b .0f-->3<!--/fig--> ms | 2026-02-03 |"
            )


if __name__ == "__main__":
    unittest.main()
