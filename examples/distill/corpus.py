"""Short texts to distil from: glosses of WordNet 3.0 and descriptions of Debian's packages.

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
    apt-get -o Acquire::Languages=en update
    python3 examples/distill/corpus.py wordnet/usr/share/wordnet /var/lib/apt/lists > texts.txt

Prints one text a line, none twice, in an order that depends on nothing but their bytes. No evaluated text is among
them. WordNet's licence and each package's allow this use; no text goes into the model, only what a teacher says of it.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path


def glosses(folder):
    """Definitions and examples, each as a text; the word itself goes before every other definition."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if line.startswith(" ") or " | " not in line:
                continue
            data, gloss = line.split(" | ", 1)
            word = data.split(" ")[4].replace("_", " ").split("(")[0]
            definition, *examples = re.split(r';\s*"', gloss)
            definition = definition.strip().strip('"')
            yield f"{word}: {definition}" if len(definition) % 2 else definition
            for example in examples:
                yield example.strip().strip('"')


def descriptions(lists):
    """The first line of each package's description, and the paragraphs after it."""
    for path in sorted(lists.iterdir()):
        if not re.search(r"_(Translation-en|Packages)(\.|$)", path.name):
            continue
        reader = {".lz4": ["lz4", "-dc"], ".bz2": ["bzip2", "-dc"], ".xz": ["xz", "-dc"], ".gz": ["gzip", "-dc"]}
        command = reader.get(path.suffix)
        text = subprocess.run([*command, path], stdout=subprocess.PIPE, check=True).stdout if command else path.read_bytes()
        for block in text.decode("utf-8", "replace").split("\n\n"):
            found = re.search(r"^Description(?:-en)?: (.*(?:\n .*)*)", block, re.MULTILINE)
            if not found:
                continue
            first, *rest = found.group(1).split("\n")
            yield first
            yield from re.split(r"\n\.\n", "\n".join(line[1:] for line in rest))


def main():
    wordnet, lists = map(Path, sys.argv[1:3])
    texts = {}
    for text in (*glosses(wordnet), *descriptions(lists)):
        words = text.split()
        if 4 <= len(words) <= 60:
            text = " ".join(words)
            texts[hashlib.sha256(text.lower().encode()).digest()] = text
    for _, text in sorted(texts.items()):
        print(text)


if __name__ == "__main__":
    main()
