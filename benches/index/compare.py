"""Our index and others over the same vectors, asked in turns. Run by `just bench-index`.

Usage: compare.py BENCH_BINARY WORK_DIR COUNT[,COUNT] FOLDER... [--rounds N] [--only side,side]

Each round asks every side every width once, so that whatever else the machine does meets all of
them; a width's time is its best round. One thread everywhere, and the time is the processor's.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import tempfile
import time

import faiss
import hnswlib
import numpy as np
import qdrant_edge
from usearch.index import Index

K = 10
M, EF_CONSTRUCTION = 16, 200
WIDTHS = [10, 16, 24, 32, 48, 64, 80, 96, 128, 192]
RECALLS = [0.95, 0.99]
# A number below a bound that this share of the points is below, of the first queries: an exact search stands beside each.
SHARES = [1, 0.5, 0.1, 0.01, 0.001]
FILTERED_QUERIES, FILTERED_RECALL = 100, 0.95
FILTERED_WIDTHS = [10, 16, 32, 64, 128, 256, 512, 1024]


def recall(found, truth):
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, truth))
    return hits / sum(len(set(b)) for b in truth)


def ask(process, **what):
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


class Ours:
    def __init__(self, process, name, config):
        self.process, self.name, self.config = process, name, config

    def ask(self, **what):
        return ask(self.process, **what, name=self.name)

    def build(self, base):
        built = self.ask(do="build", config=self.config)
        return built["seconds"], built["bytes"] + base.nbytes

    def search(self, queries, truth, ef):
        ran = self.ask(do="search", ef=ef)
        return ran["seconds"], ran["recall"]


class Hnswlib:
    name = "hnswlib"

    def build(self, base):
        self.index = hnswlib.Index(space="ip", dim=base.shape[1])
        self.index.init_index(max_elements=len(base), M=M, ef_construction=EF_CONSTRUCTION)
        self.index.set_num_threads(1)
        started = time.process_time()
        self.index.add_items(base, num_threads=1)
        return time.process_time() - started, self.index.index_file_size()

    def search(self, queries, truth, ef):
        self.index.set_ef(ef)
        started = time.process_time()
        found, _ = self.index.knn_query(queries, k=K, num_threads=1)
        return time.process_time() - started, recall(found, truth)


class Usearch:
    def __init__(self, dtype):
        self.name, self.dtype = f"usearch {dtype}", dtype

    def build(self, base):
        self.index = Index(
            ndim=base.shape[1], metric="cos", dtype=self.dtype, connectivity=M,
            expansion_add=EF_CONSTRUCTION,
        )
        keys = np.arange(len(base))
        started = time.process_time()
        self.index.add(keys, base, threads=1)
        return time.process_time() - started, self.index.memory_usage

    def search(self, queries, truth, ef):
        self.index.expansion_search = ef
        started = time.process_time()
        found = self.index.search(queries, K, threads=1).keys
        return time.process_time() - started, recall(found, truth)


class QdrantEdge:
    """Qdrant's engine in this process: one segment, on one thread, its log off. Its size is that of its files."""

    def __init__(self, dtype):
        self.name, self.int8 = f"qdrant {dtype}", dtype == "i8"

    def index_fields(self, base, fields):
        """Anew: what the others build has no fields either."""
        self.build(base, fields)

    def build(self, base, fields={}):
        self.folder = tempfile.TemporaryDirectory()
        int8 = qdrant_edge.ScalarQuantizationConfig(qdrant_edge.ScalarType.Int8, always_ram=True)
        config = qdrant_edge.EdgeConfig(
            vectors=qdrant_edge.EdgeVectorParams(size=base.shape[1], distance=qdrant_edge.Distance.Dot),
            hnsw_config=qdrant_edge.HnswIndexConfig(M, EF_CONSTRUCTION, full_scan_threshold=1, max_indexing_threads=1),
            quantization_config=int8 if self.int8 else None,
            optimizers=qdrant_edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
            max_search_threads=1,
            wal_enabled=False,
        )
        self.shard = qdrant_edge.EdgeShard.create(self.folder.name, config)
        for field in fields:
            self.shard.update(
                qdrant_edge.UpdateOperation.create_field_index(field, qdrant_edge.PayloadSchemaType.Integer)
            )
        payloads = [{name: int(values[at]) for name, values in fields.items()} for at in range(len(base))]
        points = [qdrant_edge.Point(at, vector.tolist(), payloads[at]) for at, vector in enumerate(base)]
        upserts = [
            qdrant_edge.UpdateOperation.upsert_points(points[at : at + 1_000]) for at in range(0, len(points), 1_000)
        ]
        started = time.process_time()
        for upsert in upserts:
            self.shard.update(upsert)
        while self.shard.optimize():
            pass
        seconds = time.process_time() - started
        self.shard.flush()
        files = pathlib.Path(self.folder.name).rglob("*")
        return seconds, sum(file.stat().st_blocks * 512 for file in files if file.is_file())

    def search(self, queries, truth, ef, filter=None):
        rescored = qdrant_edge.QuantizationSearchParams(rescore=True)
        params = qdrant_edge.SearchParams(hnsw_ef=ef, quantization=rescored if self.int8 else None)
        nearest = qdrant_edge.Query.Nearest
        asked = [
            qdrant_edge.SearchRequest(nearest(query.tolist()), K, filter=filter, params=params) for query in queries
        ]
        started = time.process_time()
        answers = [self.shard.search(request) for request in asked]
        seconds = time.process_time() - started
        return seconds, recall([[hit.id for hit in hits] for hits in answers], truth)

    def filtered(self, queries, truth, ef, field, below, _matches):
        condition = qdrant_edge.FieldCondition(field, range=qdrant_edge.RangeFloat(lt=below))
        return self.search(queries, truth, ef, qdrant_edge.Filter(must=[condition]))


class Faiss:
    """HNSW of faiss, on plain vectors or on those of its scalar quantizer."""

    def __init__(self, dtype):
        self.name, self.int8 = f"faiss {dtype}", dtype == "i8"

    def build(self, base):
        faiss.omp_set_num_threads(1)
        dim, metric = base.shape[1], faiss.METRIC_INNER_PRODUCT
        if self.int8:
            self.index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, M, metric)
        else:
            self.index = faiss.IndexHNSWFlat(dim, M, metric)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        started = time.process_time()
        self.index.train(base)
        self.index.add(base)
        return time.process_time() - started, faiss.serialize_index(self.index).nbytes

    def search(self, queries, truth, ef):
        self.index.hnsw.efSearch = ef
        started = time.process_time()
        _, found = self.index.search(queries, K)
        return time.process_time() - started, recall(found, truth)

    def filtered(self, queries, truth, ef, _field, _below, matches):
        """It has no fields: it is given a map of bits, and what finding those takes is not counted."""
        chosen = faiss.IDSelectorBitmap(np.packbits(matches, bitorder="little"))
        params = faiss.SearchParametersHNSW(sel=chosen, efSearch=ef)
        started = time.process_time()
        _, found = self.index.search(queries, K, params=params)
        return time.process_time() - started, recall(found, truth)


def at_recall(points, wanted):
    """Searches a second where the line through the measured (recall, time) meets `wanted`."""
    points = sorted(points)
    for (low, slow), (high, shigh) in zip(points, points[1:]):
        if low < wanted <= high:
            share = (wanted - low) / (high - low)
            return 1 / (slow + share * (shigh - slow))
    return 1 / points[0][1] if points[0][0] >= wanted else float("nan")


def figure(id, value):
    """A line for `benches/compare/run.py`. What could not be measured is left out: no table can hold it."""
    path = os.environ.get("BOATHOUSE_FIGURES")
    if path and math.isfinite(value):
        with open(path, "a") as file:
            print(json.dumps({"id": id, "median": value, "low": value, "high": value}), file=file)


def filtered(count, sides, base, queries, scores, fields):
    """Ours as its planner chooses; of the others the smallest width of enough recall. Those without a filter of their own in Python are left out."""
    ours = [side for side in sides if isinstance(side, Ours)]
    others = [side for side in sides if hasattr(side, "filtered")]
    for side in others:
        if hasattr(side, "index_fields"):
            side.index_fields(base, fields)
    print(f"\nfiltered: recall@10, microseconds of a search with its filter; of others at a recall of {FILTERED_RECALL}, or the most they reach")
    for field, values in fields.items():
        for share in SHARES:
            below = int(share * (1_000_000 if field == "random" else len(values)))
            matches = values < below
            truth = [row[: min(K, matches.sum())] for row in np.argsort(-np.where(matches, scores, -np.inf), axis=1, kind="stable")]
            print(f"{field} {share}: {matches.sum()} match")
            lead = None
            for side in ours:
                ran = side.ask(do="filtered", filter={field: {"$lt": below}})
                walk, scan = ran["seconds"], ran["exact"]
                lead = walk if side.name == "own int8" else lead
                print(
                    f"  {side.name:14} recall {ran['recall']:.3f}  {1e6 * walk:7.0f} us, walked {ran['walked']:3}; scan {1e6 * scan:7.0f} us,"
                    f" x {scan / max(walk, 1e-9):.2f}; the filter alone {1e6 * ran['filtering']:.0f} us, without an index {1e6 * ran['reading']:.0f}"
                )
            for side in others:
                for ef in FILTERED_WIDTHS:
                    times = [side.filtered(queries, truth, ef, field, below, matches) for _ in range(3)]
                    seconds, reached = min(seconds for seconds, _ in times) / len(queries), times[0][1]
                    if reached >= FILTERED_RECALL:
                        break
                print(f"  {side.name:14} recall {reached:.3f}  {1e6 * seconds:7.0f} us, ef {ef}")
                if lead and reached >= FILTERED_RECALL:
                    figure(f"index.{count}.{side.name.replace(' ', '_')}.filtered.{field}.{share}", seconds / lead)


def measure(bench, work, count, folders, rounds, only):
    folder = work / str(count)
    made = subprocess.run([bench, "make", folder, str(count), *folders], capture_output=True, text=True, check=True)
    print(made.stdout.strip())
    dim = int((folder / "dim").read_text())
    base = np.fromfile(folder / "base.f32", dtype="<f4").reshape(-1, dim)
    queries = np.fromfile(folder / "queries.f32", dtype="<f4").reshape(-1, dim)
    scores = queries @ base.T
    truth = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    process = subprocess.Popen([bench, "serve", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    sides = [
        Hnswlib(),
        Ours(process, "own f32", {"builder": "own", "quantise": False}),
        Ours(process, "own int8", {"builder": "own", "quantise": True}),
        Ours(process, "hnsw_rs f32", {"builder": "hnsw_rs", "quantise": False}),
        Ours(process, "hnsw_rs int8", {"builder": "hnsw_rs", "quantise": True}),
        Ours(process, "plain", {}),
        Usearch("f32"),
        Usearch("i8"),
        QdrantEdge("f32"),
        QdrantEdge("i8"),
        Faiss("f32"),
        Faiss("i8"),
    ]
    sides = [side for side in sides if side.name in only] if only else [s for s in sides if s.name != "plain"]
    fields = {name: np.array(values) for name, values in ask(process, do="fields").items()}
    built = {side.name: side.build(base) for side in sides}
    times = {side.name: {ef: [] for ef in WIDTHS} for side in sides}
    recalls = {side.name: {} for side in sides}
    for _ in range(rounds):
        for ef in WIDTHS:
            for side in sides:
                seconds, recalls[side.name][ef] = side.search(queries, truth, ef)
                times[side.name][ef].append(seconds / len(queries))
    print(f"\n{len(base)} vectors of {dim}, {len(queries)} queries, k {K}, m {M}, ef_construction {EF_CONSTRUCTION}")
    header = "side            build s    x   bytes/vector" + "".join(f"   QPS@{wanted}    x" for wanted in RECALLS)
    print(header, flush=True)
    lead = {}
    for side in sides:
        name, (seconds, size) = side.name, built[side.name]
        points = [(recalls[name][ef], min(times[name][ef])) for ef in WIDTHS]
        qps = [at_recall(points, wanted) for wanted in RECALLS]
        lead = lead or {"build": seconds, "qps": qps}
        line = f"{name:14} {seconds:8.1f} {seconds / lead['build']:5.2f} {size / len(base):10.0f}   "
        line += "".join(f" {found:9.0f} {found / ours:5.2f}" for found, ours in zip(qps, lead["qps"]))
        print(line)
        figure(f"index.{count}.{name.replace(' ', '_')}.build", seconds / lead["build"])
        for wanted, found, first in zip(RECALLS, qps, lead["qps"]):
            figure(f"index.{count}.{name.replace(' ', '_')}.qps{wanted}", found / first)
    print("\nrecall@10 and microseconds by ef")
    for side in sides:
        row = [f"{ef}: {recalls[side.name][ef]:.3f} {1e6 * min(times[side.name][ef]):.0f}" for ef in WIDTHS]
        print(f"{side.name:14} " + "   ".join(row))
    filtered(count, sides, base, queries[:FILTERED_QUERIES], scores[:FILTERED_QUERIES], fields)
    process.stdin.close()
    process.wait()


parser = argparse.ArgumentParser()
parser.add_argument("bench")
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("counts")
parser.add_argument("folders", nargs="+")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--only", type=lambda names: names.split(","), default=[])
given = parser.parse_args()
for count in given.counts.split(","):
    measure(given.bench, given.work, int(count), given.folders, given.rounds, given.only)
