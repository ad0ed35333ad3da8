"""Golden vectors of a table, computed apart from the project's code: WordPiece and the sum in a few lines of Python.

    python3 examples/distill/golden.py TABLE VOCABULARY TEXTS > config/models/static-minilm/static_minilm_256.json

TABLE is what `examples/distill` wrote, VOCABULARY the teacher's pieces, one a line, TEXTS what it was trained on: only
its sum is taken. Needs numpy.
"""

import hashlib
import json
import sys
import unicodedata
from pathlib import Path

import numpy

MARKERS = {0, 100, 101, 102, 103}
MOST_TOKENS = 512
GOLDEN = [
    "The cat sat on the mat.",
    "How do I reset my password?",
    "rust async runtime backpressure",
    "unbelievably tokenizable words",
    "Caf\u00e9 d\u00e9j\u00e0-vu, na\u00efve r\u00e9sum\u00e9!",
    "Is COVID a coronavirus?",
    "kubernetes and blockchains, smartwatches and overdrafts",
    "",
]


def tensors(raw):
    """The tensors of a safetensors file."""
    size = int.from_bytes(raw[:8], "little")
    kinds = {"I8": numpy.int8, "F16": numpy.float16, "U16": numpy.uint16}
    for name, of in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = of["data_offsets"]
            data = numpy.frombuffer(raw[8 + size + start : 8 + size + end], kinds[of["dtype"]])
            yield name, data.reshape(of["shape"])


def words(text):
    """Lower case, without accents, punctuation apart. Enough for the texts above, not for every script."""
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    spaced = "".join(f" {c} " if unicodedata.category(c)[0] == "P" or c in "$+<=>^`|~" else c for c in text)
    return spaced.split()


def pieces(word, ids):
    """The longest pieces from the left."""
    found, start = [], 0
    while start < len(word):
        ends = range(len(word), start, -1)
        prefix = "##" if start else ""
        end = next((end for end in ends if prefix + word[start:end] in ids), None)
        if end is None:
            return [ids["[UNK]"]]
        found.append(ids[prefix + word[start:end]])
        start = end
    return found


def main():
    table, vocabulary, texts = (Path(path).read_bytes() for path in sys.argv[1:4])
    ids = {piece: id for id, piece in enumerate(vocabulary.decode().splitlines())}
    parts = dict(tensors(table))
    rows = parts["embeddings"].astype(numpy.float64) * parts["scales"].astype(numpy.float64)[:, None]
    whole = {}
    if "words" in parts:
        own = parts["word_embeddings"].astype(numpy.float64) * parts["word_scales"].astype(numpy.float64)[:, None]
        for word, row in zip(parts["words"], own):
            whole[tuple(int(id) for id in word if id)] = row
    golden = []
    for text in GOLDEN:
        read = [pieces(word, ids) for word in words(text)]
        assert sum(map(len, read)) <= MOST_TOKENS
        vector = numpy.zeros(rows.shape[1])
        for word in read:
            vector += whole[tuple(word)] if tuple(word) in whole else sum(rows[id] for id in word if id not in MARKERS)
        vector /= numpy.linalg.norm(vector) or 1.0
        flat = [id for word in read for id in word if id not in MARKERS]
        golden.append({"text": text, "ids": flat, "first8": [round(float(x), 5) for x in vector[:8]]})
    shown = {
        "format": "static-wordpiece-int8-v2" if whole else "static-wordpiece-int8-v1",
        "tensors": {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in parts.items()},
        "tokenizer": "bert-base-uncased WordPiece (vocab.txt), lowercase, strip accents, no CLS/SEP; first 512 tokens, then ids 0, 100 to 103 dropped",
        "embed": "the row of each token, or of each word of several tokens that is among `words`, times its scale, summed, divided by the length",
        "teacher": "sentence-transformers/all-MiniLM-L6-v2",
        "teacher_license": "Apache-2.0",
        "teacher_sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "made_by": "examples/distill, see docs/MODELS.md",
        "texts_sha256": hashlib.sha256(texts).hexdigest(),
        "sha256": hashlib.sha256(table).hexdigest(),
        "golden": golden,
    }
    print(json.dumps(shown, indent=1))


if __name__ == "__main__":
    main()
