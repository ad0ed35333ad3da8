"""A collection of this process and the same points in Lance, by growing counts. Run by `just bench-lance`.

Usage: lance.py make DIR COUNT [DIM]         writes clustered vectors, and queries near them
       lance.py lance DIR [--keep]           fills a table as the backend does, and searches it
       lance.py own DIR BENCH                the same vectors in this process, by the bench `index`

The Lance side is the released wheel of the same engine, so that it is optimised as ours is. One line of JSON each.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

K, QUERIES, WRITE = 10, 200, 500


def make(folder, count, dim=384):
    """Ten thousand points to a cluster of few dimensions of its own, as topics have."""
    import numpy as np

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count, dim = int(count), int(dim)
    random = np.random.default_rng(7)
    clusters = max(16, count // 1_000)
    centres = random.standard_normal((clusters, dim), dtype=np.float32)
    spreads = random.standard_normal((64, 24, dim), dtype=np.float32) / np.sqrt(24)

    def points(many):
        of = random.integers(clusters, size=many)
        made = np.empty((many, dim), dtype=np.float32)
        for start in range(0, many, 20_000):
            some = of[start : start + 20_000]
            inner = random.standard_normal((len(some), 1, 24), dtype=np.float32)
            made[start : start + len(some)] = centres[some] + (inner @ spreads[some % 64])[:, 0]
        made += 0.3 * random.standard_normal(made.shape, dtype=np.float32)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made

    base, queries = points(count), points(QUERIES)
    base.tofile(folder / "base.f32")
    queries.tofile(folder / "queries.f32")
    (folder / "dim").write_text(str(dim))
    truth = np.empty((QUERIES, K), dtype=np.int64)
    for at in range(QUERIES):
        scores = base @ queries[at]
        best = np.argpartition(-scores, K)[:K]
        truth[at] = best[np.argsort(-scores[best], kind="stable")]
    np.save(folder / "truth.npy", truth)


def load(folder):
    import numpy as np

    folder = pathlib.Path(folder)
    dim = int((folder / "dim").read_text())
    base = np.memmap(folder / "base.f32", dtype="<f4", mode="r").reshape(-1, dim)
    queries = np.fromfile(folder / "queries.f32", dtype="<f4").reshape(-1, dim)
    return base, queries, np.load(folder / "truth.npy")


def memory_mb(process, what="RssAnon"):
    """What cannot be dropped and read again from a file."""
    for line in open(f"/proc/{process}/status"):
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024


def timed(search, queries, truth):
    times, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(search(query))
        times.append(time.perf_counter() - started)
    hits = sum(len(set(a) & set(b.tolist())) for a, b in zip(found, truth))
    times.sort()
    return {
        "recall": round(hits / truth.size, 4),
        "p50_ms": round(1e3 * times[len(times) // 2], 3),
        "p99_ms": round(1e3 * times[int(len(times) * 0.99)], 3),
        "qps": round(len(times) / sum(times), 1),
    }


def lance(folder, *flags):
    # One thread computes, as on the other side. Two read: with one, replacing rows waits for itself for ever.
    os.environ.setdefault("LANCE_CPU_THREADS", "1")
    os.environ.setdefault("LANCE_IO_THREADS", "2")
    import lancedb
    import pyarrow as pa

    base, queries, truth = load(folder)
    count, dim = base.shape
    home = pathlib.Path(folder) / "tables"
    kept = "--keep" in flags and home.exists()
    if not kept:
        shutil.rmtree(home, ignore_errors=True)
    out = {"side": "lance", "count": count, "dim": dim}
    database = lancedb.connect(str(home))
    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata={"lance-schema:unenforced-primary-key": "true"}),
            pa.field("vector", pa.list_(pa.float32(), dim)),
            pa.field("text", pa.string()),
            pa.field("payload", pa.string()),
            pa.field("words", pa.string()),
            pa.field("terms", pa.list_(pa.string())),
        ]
    )

    def rows(start, end):
        ids = range(start, end)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(base[start:end].reshape(-1)), dim)
        terms = [["+", "*6:number", f"n6:number{at % 1_000}"] for at in ids]
        payloads = [json.dumps({"number": at % 1_000}) for at in ids]
        nothing = pa.nulls(end - start, pa.string())
        columns = [pa.array([str(at) for at in ids]), vectors, nothing, pa.array(payloads), nothing, pa.array(terms)]
        return pa.record_batch(columns, schema=schema)

    if kept:
        table = database.open_table("docs")
    else:
        table = database.create_table("docs", schema=schema)
        # Writes as they come, each a commit; the rest in bulk.
        writes = min(count, 20_000)
        started = time.perf_counter()
        for start in range(0, writes, WRITE):
            merge = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            merge.execute(pa.Table.from_batches([rows(start, start + WRITE)]))
        out["upserts_per_second"] = round(writes / (time.perf_counter() - started))
        for start in range(writes, count, 50_000):
            table.add(pa.Table.from_batches([rows(start, min(count, start + 50_000))]))
        table.optimize()
        started = time.perf_counter()
        table.create_index(metric="cosine", index_type="IVF_HNSW_SQ", vector_column_name="vector")
        out["index_seconds"] = round(time.perf_counter() - started, 1)
        table.create_scalar_index("terms", index_type="LABEL_LIST")
        table.create_scalar_index("id", index_type="BTREE")
        out["peak_build_mb"] = round(memory_mb("self", "VmHWM"))
    out["disk_mb"] = round(sum(at.stat().st_size for at in home.rglob("*") if at.is_file()) / 2**20)
    if "--build" in flags:
        print(json.dumps(out), flush=True)
        return

    def search(nprobes, refine):
        def one(query):
            asked = table.search(query, vector_column_name="vector").metric("cosine").limit(K)
            asked = asked.select(["id", "text", "payload", "_distance"])
            if nprobes:
                asked = asked.nprobes(nprobes)
            if refine:
                asked = asked.refine_factor(refine)
            return [int(at) for at in asked.to_arrow()["id"].to_pylist()]

        return one

    before = memory_mb("self")
    for nprobes, refine in [(None, 1), (None, 2), (20, 2), (40, 2), (80, 2)]:
        one = search(nprobes, refine)
        timed(one, queries, truth)
        told = timed(one, queries, truth)
        resident = {"rss_anon_mb": round(memory_mb("self")), "of_index_mb": round(memory_mb("self") - before)}
        print(json.dumps(out | {"nprobes": nprobes, "refine": refine} | told | resident), flush=True)


def own(folder, bench):
    process = subprocess.Popen([bench, "serve", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(**what):
        process.stdin.write(json.dumps(dict(what, name="own")) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    built = ask(do="build", config={})
    out = {"side": "own", "index_seconds": round(built["seconds"], 1)}
    for ef in [32, 64, 128]:
        ask(do="search", ef=ef)
        told = ask(do="search", ef=ef)
        print(json.dumps(out | told | {"rss_anon_mb": round(memory_mb(process.pid))}), flush=True)
    process.stdin.close()
    process.wait()


{"make": make, "lance": lance, "own": own}[sys.argv[1]](*sys.argv[2:])
