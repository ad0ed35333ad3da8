"""Reads the journal's files with DuckDB, joins answers with the last feedback on each, and writes both as Parquet.

The same work as a materialization, less what DuckDB has no word for: the hashes of records and of the chain, duplicates,
validations, the recipe's rules, JSONL, receipts.
"""

import glob
import os
import resource
import sys
import tempfile
import time

import duckdb

folder, threads = sys.argv[1], int(sys.argv[2])
files = sorted(glob.glob(os.path.join(folder, "evidence-*.jsonl")))
database = duckdb.connect()
database.execute(f"SET threads = {threads}")
with tempfile.TemporaryDirectory() as out:
    started = time.perf_counter()
    database.execute(
        """
        CREATE TEMP TABLE records AS
        SELECT * FROM read_json(?, format = 'newline_delimited', maximum_object_size = 67108864,
            columns = {seq: 'UBIGINT', ts: 'UBIGINT', kind: 'VARCHAR', id: 'VARCHAR', body: 'JSON'})
        """,
        [files],
    )
    database.execute(
        f"""
        COPY (
            WITH said AS (
                SELECT (body->>'target') AS target, arg_max(body->>'rating', seq) AS rating
                FROM records WHERE kind = 'feedback' GROUP BY 1
            )
            SELECT seq, ts, id, (body->>'request_id') AS request_id, (body->>'model') AS model,
                (body->>'answered_by') AS answered_by, (body->'messages') AS messages, (body->>'answer') AS answer,
                coalesce(by_id.rating, by_request.rating) AS rating,
                strftime(make_timestamp(CAST(ts AS BIGINT) * 1000), '%Y-%m-%d') AS date
            FROM records
            LEFT JOIN said AS by_id ON by_id.target = id
            LEFT JOIN said AS by_request ON by_request.target = (body->>'request_id')
            WHERE kind = 'chat'
            ORDER BY seq
        ) TO '{out}/tasks' (FORMAT PARQUET, PARTITION_BY (date))
        """
    )
    seconds = time.perf_counter() - started
    (records,) = database.execute("SELECT count(*) FROM records").fetchone()
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(f"{records / seconds * 60:.0f} records/min on {threads} threads, {most:.0f} MB at most")
