#!/usr/bin/env python3
"""Measures Boathouse beside its peers and refreshes docs/COMPARISON.md.

  benches/compare/run.py                     everything that can be installed here; hours
  benches/compare/run.py supervision restart these parts alone
  benches/compare/run.py --list              the parts, what each compares and needs
  benches/compare/run.py --refresh FILE      write the figures of an earlier run into the document

Peers go below target/, each part's in its own folder. The raw figures go to target/compare/DATE.jsonl, one a line:
id, median, and the middle half of the rounds. Nothing else should run meanwhile: the sides of a pair take turns, so
ratios stand much, absolute figures little. A part whose peers cannot be installed is named and left out.

Exit status: 0 all parts measured, 1 some not, 2 wrong arguments. Needs cargo, and just; Python 3.11 and npm for peers.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys

from refresh import refresh

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "target" / "compare"

# Part: what it compares, what installs its peers, what measures.
PARTS = {
    "supervision": ("a supervised ask beside a bare actix call", [], ["cargo bench -p boathouse-supervisors"]),
    "restart": ("a cell's crash beside a daemon's", [], ["cargo bench --bench restart"]),
    "embed": (
        "/v1/embeddings beside a bare handler and a Python sidecar",
        ["just sidecar"],
        ["cargo bench --bench embed_warm", "cargo bench --bench embed_cold"],
    ),
    "chat": (
        "dispatch beside a bare pass-through, LiteLLM, Portkey, TensorZero and sglang's router",
        ["just gateways"],
        ["cargo bench --bench chat"],
    ),
    "index": (
        "a collection's index beside hnswlib, usearch, faiss and qdrant-edge",
        [],
        ['just bench-index "20000,100000"'],
    ),
    "evidence": (
        "materialize and audit beside DuckDB and sha256sum",
        ["benches/evidence/setup.sh"],
        ["cargo bench --bench evidence -- 940000"],
    ),
    "curves": ("how rates, latency and memory grow with load and data", [], ["cargo bench --bench curves"]),
    "overload": ("what is served of twice and five times capacity", [], ["cargo bench --bench overload"]),
    "pii": ("personal data beside Microsoft Presidio", [], ["just bench-pii"]),
    "validation": (
        "fills and mails judged, beside the bounds that were aimed at",
        [],
        ["cargo bench --no-default-features --bench validation -- fill email"],
    ),
}


def ran(command, environment=None):
    """Whether it ended well. What it prints is shown."""
    print(f"$ {command}", flush=True)
    return subprocess.run(command, shell=True, cwd=ROOT, env=environment).returncode == 0


def measure(names):
    OUT.mkdir(parents=True, exist_ok=True)
    today = datetime.date.today().isoformat()
    figures = OUT / f"{today}.jsonl"
    environment = dict(os.environ, BOATHOUSE_FIGURES=str(figures))
    missed = []
    for at, name in enumerate(names, 1):
        about, install, commands = PARTS[name]
        print(f"\n== {at}/{len(names)} {name}: {about}", flush=True)
        if not all(ran(command) for command in install):
            missed.append(f"{name}: its peers could not be installed")
        elif not all([ran(command, environment) for command in commands]):
            missed.append(f"{name}: not all of it could be measured")
    if figures.exists():
        changed = refresh(ROOT / "docs" / "COMPARISON.md", lines(figures), today)
        print(f"\n{changed} rows of docs/COMPARISON.md are of {today} now; raw figures: {figures.relative_to(ROOT)}")
    for what in missed:
        print(f"not measured: {what}")
    return 1 if missed else 0


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--list", action="store_true", help="list the parts")
    parser.add_argument("--refresh", metavar="FILE", type=pathlib.Path, help="only refresh the document from FILE")
    given = parser.parse_args()
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")
    if given.list:
        for name, (about, install, commands) in PARTS.items():
            print(f"{name:12} {about}\n{'':12} {'; '.join(install + commands)}")
        return 0
    if given.refresh:
        day = given.refresh.stem
        try:
            datetime.date.fromisoformat(day)
        except ValueError:
            parser.error(f"{given.refresh}: the file is named by its day, such as 2026-11-29.jsonl")
        print(refresh(ROOT / "docs" / "COMPARISON.md", lines(given.refresh), day), "rows refreshed")
        return 0
    missing = [tool for tool in ["cargo", "just"] if not shutil.which(tool)]
    if missing:
        parser.error(f"{' and '.join(missing)} must be installed first (cargo install just)")
    return measure(given.parts or list(PARTS))


if __name__ == "__main__":
    sys.exit(main())
