"""Texts per second of `minilm` and of onnxruntime on the same texts, taking turns.

    python benches/minilm/compare.py BOATHOUSE MODEL_FOLDER CORPUS.jsonl [TEXTS [ROUNDS]]

Needs onnxruntime, onnx, safetensors, tokenizers and numpy from PyPI. No ONNX file comes with the model, so the graph is
built here from the same weights out of onnxruntime's own fused operators (Attention, SkipLayerNormalization, BiasGelu):
what its optimizer makes of an exported model. Both read at most 256 tokens, sort by length, and use all cores;
onnxruntime gets batches of 32. Boathouse is asked through `boathouse eval embed`, whose start and loading of the model
are measured with one text and taken off; onnxruntime's start is not counted. The vectors are compared in the tests
of the crate, not here.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer


def graph(folder):
    """The model as onnxruntime likes it best."""
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    weights = load_file(os.path.join(folder, "model.safetensors"))
    eps, fused = config["layer_norm_eps"], {"domain": "com.microsoft"}
    constants, nodes = [], []

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(kind, inputs, outputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    part = "embeddings."
    positions = weights[part + "position_embeddings.weight"] + weights[part + "token_type_embeddings.weight"][0]
    state = node(
        "EmbedLayerNormalization",
        [
            "ids",
            "",
            constant("words", weights[part + "word_embeddings.weight"]),
            constant("positions", positions),
            "",
            constant("gain", weights[part + "LayerNorm.weight"]),
            constant("shift", weights[part + "LayerNorm.bias"]),
            "mask",
        ],
        ["embedded", "lengths"],
        epsilon=eps,
        **fused,
    )
    for layer in range(config["num_hidden_layers"]):
        part = f"encoder.layer.{layer}."

        def all_three(kind):
            return np.concatenate([weights[f"{part}attention.self.{name}.{kind}"] for name in ("query", "key", "value")])

        def dense(name, source):
            matrix = constant(f"{part}{name}.matrix", weights[f"{part}{name}.weight"].T)
            return node("MatMul", [source, matrix], [f"{part}{name}"])

        def norm(name, bias, source, state):
            rows = [weights[f"{part}{name}.weight"], weights[f"{part}{name}.bias"], weights[f"{part}{bias}.bias"]]
            rows = [constant(f"{part}{name}.{at}", row) for at, row in enumerate(rows)]
            inputs = [source, state, *rows]
            return node("SkipLayerNormalization", inputs, [f"{part}{name}"], epsilon=eps, **fused)

        inputs = [state, constant(part + "qkv", all_three("weight").T), constant(part + "qkv.bias", all_three("bias"))]
        heads = config["num_attention_heads"]
        mixed = node("Attention", [*inputs, "lengths"], [part + "mixed"], num_heads=heads, **fused)
        mixed = dense("attention.output.dense", mixed)
        state = norm("attention.output.LayerNorm", "attention.output.dense", mixed, state)
        wide = dense("intermediate.dense", state)
        bias = constant(part + "intermediate.bias", weights[part + "intermediate.dense.bias"])
        wide = node("BiasGelu", [wide, bias], [part + "wide"], **fused)
        state = norm("output.LayerNorm", "output.dense", dense("output.dense", wide), state)
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "bert",
        [value("ids", TensorProto.INT32, ["b", "s"]), value("mask", TensorProto.INT32, ["b", "s"])],
        [value(state, TensorProto.FLOAT, ["b", "s", config["hidden_size"]])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(made, opset_imports=opsets)
    model.ir_version = 8
    return model.SerializeToString()


class Onnx:
    def __init__(self, folder):
        self.session = onnxruntime.InferenceSession(graph(folder), providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)

    def embed(self, texts, batch=32):
        read = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda at: -len(read[at]))
        for start in range(0, len(order), batch):
            some = [read[at] for at in order[start : start + batch]]
            ids = np.zeros((len(some), len(some[0])), np.int32)
            mask = np.zeros_like(ids)
            for row, text in enumerate(some):
                ids[row, : len(text)], mask[row, : len(text)] = text, 1
            states = self.session.run(None, {"ids": ids, "mask": mask})[0]
            means = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
            means / np.linalg.norm(means, axis=1, keepdims=True)


def write_set(folder, texts):
    with open(os.path.join(folder, "corpus.jsonl"), "w") as file:
        for at, text in enumerate(texts):
            file.write(json.dumps({"id": f"d{at}", "text": text}) + "\n")
    with open(os.path.join(folder, "queries.jsonl"), "w") as file:
        file.write(json.dumps({"id": "q", "text": "boat"}) + "\n")
    with open(os.path.join(folder, "qrels.tsv"), "w") as file:
        file.write("q\td0\t1\n")


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    boathouse, folder, corpus = sys.argv[1:4]
    most = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    with open(corpus) as file:
        texts = [json.loads(line)["text"] for line in file][:most]
    onnx = Onnx(folder)
    onnx.embed(texts[:32])
    settings = {
        "BOATHOUSE__EMBEDDING__EMBEDDERS__BENCH__KIND": "minilm",
        "BOATHOUSE__EMBEDDING__EMBEDDERS__BENCH__PATH": os.path.abspath(folder),
    }
    best = {"minilm": 0.0, "onnxruntime": 0.0}
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        write_set(small, texts[:1])
        write_set(large, texts)

        def ask(folder):
            command = [boathouse, "--data", small, "eval", "embed", folder, "--model", "bench"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **settings})

        for _ in range(rounds):
            start = seconds(lambda: ask(small))
            here = len(texts) / (seconds(lambda: ask(large)) - start)
            there = len(texts) / seconds(lambda: onnx.embed(texts))
            print(f"minilm {here:7.1f} texts/s, onnxruntime {there:7.1f} texts/s, ratio {here / there:.2f}", flush=True)
            best = {"minilm": max(best["minilm"], here), "onnxruntime": max(best["onnxruntime"], there)}
    ratio = best["minilm"] / best["onnxruntime"]
    print(f"best of {rounds}, {len(texts)} texts: {best}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
