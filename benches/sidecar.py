"""An embedding sidecar as one would write it: FastAPI under uvicorn, `tokenizers` and numpy over the table that
Boathouse has compiled in, with a cache of 10,000 texts. `just sidecar` makes its environment; the argument is the
number of processes.
"""

import base64
import functools
import json
import multiprocessing
import pathlib
import socket
import sys

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

MODEL = pathlib.Path(__file__).parent.parent / "config/models/static-minilm"


def load():
    raw = (MODEL / "static_minilm_256.safetensors").read_bytes()
    head = int.from_bytes(raw[:8], "little")
    tensors = json.loads(raw[8 : 8 + head])

    def tensor(name, dtype):
        begin, end = tensors[name]["data_offsets"]
        data = np.frombuffer(raw[8 + head + begin : 8 + head + end], dtype)
        return data.reshape(tensors[name]["shape"])

    def rows(name, scales):
        return tensor(name, np.int8).astype(np.float32) * tensor(scales, np.float16).astype(np.float32)[:, None]

    table = np.concatenate([rows("embeddings", "scales"), rows("word_embeddings", "word_scales")])
    tokens = tensors["embeddings"]["shape"][0]
    words = {tuple(id for id in word if id): tokens + at for at, word in enumerate(tensor("words", np.uint16).tolist())}
    lines = (MODEL / "vocab.txt").read_text().splitlines()
    vocabulary = {piece: at for at, piece in enumerate(lines)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    goes_on = [piece.startswith("##") for piece in lines]
    return tokenizer, table, words, goes_on


tokenizer, table, words, goes_on = load()
app = FastAPI()


class Request(BaseModel):
    model: str
    input: str | list[str]
    encoding_format: str = "float"


@functools.lru_cache(10_000)
def embed(text):
    ids = [at for at in tokenizer.encode(text).ids if at not in (0, 100, 101, 102, 103)][:512]
    read, word = [], []
    for id in ids + [None]:
        if word and (id is None or not goes_on[id]):
            row = words.get(tuple(word)) if len(word) > 1 else None
            read += word if row is None else [row]
            word = []
        word.append(id)
    vector = table[read].sum(0)
    return vector / np.linalg.norm(vector), len(ids)


@app.post("/v1/embeddings")
async def embeddings(request: Request):
    texts = [request.input] if isinstance(request.input, str) else request.input
    data, tokens = [], 0
    for index, text in enumerate(texts):
        vector, count = embed(text)
        tokens += count
        if request.encoding_format == "base64":
            written = base64.b64encode(vector.astype("<f4").tobytes()).decode()
        else:
            written = vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": written})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def serve(listener):
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    others = [
        multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        for _ in range(int(sys.argv[1]) - 1)
    ]
    for process in others:
        process.start()
    print("sidecar http://%s:%d" % listener.getsockname(), flush=True)
    serve(listener)
