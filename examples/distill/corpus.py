"""Texts and words to distil from; docs/MODELS.md has the commands.

    python3 examples/distill/corpus.py texts WORDNET LISTS [DOCUMENTS…] > texts.txt
    python3 examples/distill/corpus.py words SCOWL > words.txt

`texts` prints short texts: glosses of WordNet 3.0, descriptions of Debian's packages (what LISTS has of bookworm's main
section), sentences of documents, and questions made of WordNet's words, which the others have few of: they teach what
"how", "my" and "why" are worth beside a noun. One a line, none twice, in an order that depends on nothing but their bytes. No
evaluated text is among them. WordNet's licence, each package's and those of the documents allow this use; no text goes
into the model, only what a teacher says of it.

`words` prints words that may get a row of their own, the most important first: those of `newer.txt`, then the levels of
SCOWL from the commonest up.
"""

import gzip
import hashlib
import html
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
        if not re.search(r"_debian_dists_bookworm_main_.*(Translation-en|Packages)(\.|$)", path.name):
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


def documents(folder):
    """The sentences of HTML and Mallard pages, and of a dictionary of dictd."""
    for path in sorted(folder.rglob("*")):
        if path.name.endswith((".html", ".page")):
            text = path.read_text(encoding="utf-8", errors="replace")
            text = re.sub(r"(?is)<(script|style|pre|code|head|nav|screen)\b.*?</\1>|<!--.*?-->", " ", text)
            text = re.sub(r"(?i)</?(p|li|dd|dt|h\d|td|th|tr|div|br|title|item|note|desc)\b[^>]*>", "\n\n", text)
            text = html.unescape(re.sub(r"<[^>]*>", "", text))
        elif path.name.endswith(".dict.dz"):
            text = gzip.open(path, "rt", encoding="utf-8", errors="replace").read()
            text = re.sub(r"[{}]|<[^>]*>|\[[^\]]*\]", "", text)
        else:
            continue
        for paragraph in re.split(r"\n\s*\n", text):
            yield from re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split()))


def some(texts, most):
    """Up to `most` of the texts, chosen by nothing but their bytes."""
    return sorted(set(texts), key=lambda text: hashlib.sha256(text.encode()).digest())[:most]


def common(wordnet, part):
    """Words that WordNet's own texts have."""
    for line in (wordnet / f"index.{part}").read_text(encoding="latin-1").splitlines():
        fields = line.split()
        if line.startswith(" ") or fields[5 + int(fields[3])] == "0":
            continue
        word = fields[0].replace("_", " ")
        if re.fullmatch("[a-z ]{3,}", word):
            yield word


QUESTIONS = """
How do I {verb} my {noun}?|Why is my {noun} {adj}?|Can I {verb} a {noun} without a {noun}?|What is a {noun}?
What is the difference between a {noun} and a {noun}?|Where can I find a {adj} {noun}?|Who invented the {noun}?
When was the first {noun} made?|How many {noun}s does a {noun} have?|How much does a {noun} cost?|I need to {verb} the {noun}
Is it possible to {verb} my {noun} from a {noun}?|My {noun} does not {verb} any more|I want to {verb} a {adj} {noun}
Which {noun} is the most {adj}?|Should I {verb} the {noun} before the {noun}?|What happens if I {verb} my {noun}?
Why did the {noun} {verb}?|Please help me {verb} this {noun}|Do you have a {noun} for my {noun}?|I lost my {noun}, what now?
There is something {adj} about my {noun}|How long does it take to {verb} a {noun}?|Are there {adj} {noun}s in my {noun}?
I can't {verb} my {noun}|Who is the {noun} of the {noun}?|A man is going to {verb} a {noun}|A woman has a {adj} {noun}
Two children {verb} beside the {noun}|The {noun} is not {adj}|The {adj} {noun} will {verb} the {noun} today
How can a {noun} be {adj}?|Why would anyone {verb} a {adj} {noun}?|What does {noun} mean?|Tell me about {noun} and {noun}
What should I do with a {adj} {noun}?|Has anybody seen the {noun} that I {verb}?|What is the {noun} of a {noun} called?
"""


def questions(wordnet, most):
    """Questions and plain sentences of common words."""
    words = {"noun": some(common(wordnet, "noun"), 10**6), "verb": some(common(wordnet, "verb"), 10**6), "adj": some(common(wordnet, "adj"), 10**6)}
    forms = [form for line in QUESTIONS.strip().splitlines() for form in line.split("|")]
    for number in range(most):
        drawn = hashlib.sha256(f"question {number}".encode()).digest()
        parts = re.split(r"\{(\w+)\}", forms[drawn[0] % len(forms)])
        for at in range(1, len(parts), 2):
            known = words[parts[at]]
            parts[at] = known[int.from_bytes(drawn[2 * at : 2 * at + 4], "big") % len(known)]
        yield "".join(parts)


def texts(wordnet, lists, *folders):
    found = {}
    sentences = (text for folder in folders for text in some(documents(folder), 15_000))
    for text in (*glosses(wordnet), *descriptions(lists), *sentences, *questions(wordnet, 60_000)):
        words = text.split()
        if 4 <= len(words) <= 60:
            text = " ".join(words)
            found[hashlib.sha256(text.lower().encode()).digest()] = text
    for _, text in sorted(found.items()):
        print(text)


def words(scowl):
    newer = Path(__file__).with_name("newer.txt").read_text(encoding="utf-8").split()
    print(*newer, sep="\n")
    seen = set(newer)
    kinds = ("english-words", "american-words", "english-upper", "american-upper", "english-proper-names", "american-proper-names")
    for level in ("10", "20", "35", "40", "50"):
        found = set()
        for kind in kinds:
            path = scowl / f"{kind}.{level}"
            if path.exists():
                found.update(path.read_text(encoding="latin-1").lower().split())
        found = {word for word in found if re.fullmatch("[a-z]{3,}", word)} - seen
        seen |= found
        # A cut in the middle of a level takes words of every letter.
        print(*sorted(found, key=lambda word: hashlib.sha256(word.encode()).digest()), sep="\n")


if __name__ == "__main__":
    what, *folders = sys.argv[1:]
    {"texts": texts, "words": words}[what](*map(Path, folders))
