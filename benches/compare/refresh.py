"""Writes figures into the tables of docs/COMPARISON.md.

A figure in a table stands between two comments: `<!--fig ID FORMAT-->…<!--/fig-->`. ID may hold `*`: the least and the
largest median of all that match are given. FORMAT is Python's, such as `.2f`;
`,.0f` for large ones. The row's day, `YYYY-MM-DD`, becomes that of the run. What was not measured stays as it is, with its day.
"""

import fnmatch
import re

FIGURE = re.compile(r"<!--fig (\S+) (\S+?)-->(.*?)<!--/fig-->")
DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


def told(found, form):
    """One figure, or the range of several."""
    low = min(figure["median"] for figure in found)
    high = max(figure["median"] for figure in found)
    low, high = format(low, form), format(high, form)
    return low if low == high else f"{low} to {high}"


def row(line, latest, day):
    """The row with what is known of it, and whether anything was."""
    known = False

    def replace(match):
        nonlocal known
        found = [figure for id, figure in latest.items() if fnmatch.fnmatchcase(id, match[1])]
        if not found:
            return match[0]
        known = True
        return f"<!--fig {match[1]} {match[2]}-->{told(found, match[2])}<!--/fig-->"

    replaced = FIGURE.sub(replace, line)
    return (DAY.sub(day, replaced) if known else line), known


def refresh(document, figures, day):
    """Rewrites `document`; returns how many rows are of `day` now. Of a figure that was measured twice the last counts."""
    latest = {figure["id"]: figure for figure in figures}
    rows = [row(line, latest, day) for line in document.read_text().split("\n")]
    document.write_text("\n".join(line for line, _ in rows))
    return sum(known for _, known in rows)
