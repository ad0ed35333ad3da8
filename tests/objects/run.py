"""Three replicas push to an S3 of this machine and to a folder; DuckDB, pyarrow and Spark read what is there, and one replica joins the evidence of all."""

import contextlib
import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import boto3
import duckdb
import pyarrow.dataset
import pyarrow.fs
import s3fs
from moto.server import ThreadedMotoServer

BUCKET = "lake"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
# More than one call of an upload holds, so that some segments go in several.
LONG = "The ferry to the island leaves at nine. " * 6_000


class House:
    """A data folder, and the commands and the server that have it."""

    def __init__(self, folder: pathlib.Path, replica: str, url: str, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **environment,
            "BOATHOUSE__OBJECT_STORAGE__URL": url,
            "BOATHOUSE__OBJECT_STORAGE__REPLICA": replica,
            "BOATHOUSE__OBJECT_STORAGE__PUSH_EVERY_MS": "0",
        }

    def run(self, *command: str, status: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [BINARY, "--data", str(self.folder), *command],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def told(self, *command: str, **environment: str) -> dict:
        return json.loads(self.run(*command, "--json", **environment))

    @contextlib.contextmanager
    def serving(self, **environment: str):
        child = subprocess.Popen(
            [BINARY, "serve", "--port", "0", "--data", str(self.folder)],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Server("http://" + child.stdout.readline().split("http://")[1].split()[0])
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=60)
            child.stdout.close()


class Server:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: dict | None = None, method: str | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    def chat(self, question: str, before: str = "") -> str:
        messages = [{"role": "system", "content": before}] * (3 if before else 0) + [{"role": "user", "content": question}]
        retrieval = {"collection": "docs", "k": 1}
        return self.ask("/v1/chat/completions", {"model": "extractive", "messages": messages, "retrieval": retrieval})["id"]


def docs(server: Server) -> None:
    server.ask("/v1/collections/docs", {}, "PUT")
    server.ask("/v1/collections/docs/points", {"points": [{"id": "1", "text": "The ferry to the island leaves at nine."}]})


class Objects(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(contextlib.ExitStack())
        cls.root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        cls.addClassCleanup(server.stop)
        host, port = server.get_host_and_port()
        cls.endpoint = f"{host}:{port}"
        cls.s3 = boto3.client(
            "s3",
            endpoint_url=f"http://{cls.endpoint}",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
        )
        cls.s3.create_bucket(Bucket=BUCKET)
        cls.environment = {**KEYS, "AWS_ENDPOINT_URL": f"http://{cls.endpoint}", "AWS_ALLOW_HTTP": "true"}
        url = f"s3://{BUCKET}/house"
        cls.a, cls.b, cls.c = (House(cls.root / name, name, url, cls.environment) for name in "abc")
        cls.lake = cls.root / "lake"
        cls.fill()

    @classmethod
    def fill(cls) -> None:
        """Twelve answers of a and six of b; what people said of them came to the other one. Then all is pushed, and c joins it."""
        with cls.a.serving() as a, cls.b.serving() as b:
            docs(a)
            docs(b)
            a_ids = [a.chat(f"When does ferry {n} leave?", LONG) for n in range(12)]
            b_ids = [b.chat(f"When does boat {n} leave?") for n in range(6)]
            for n, target in enumerate(a_ids):
                b.ask("/v1/feedback", {"target": target, "rating": ["accepted", "rejected"][n % 2], "user": "ann"})
            for target in b_ids:
                a.ask("/v1/feedback", {"target": target, "rating": "accepted"})
            cls.pushed = {"a": a.ask("/v1/push", {}), "b": b.ask("/v1/push", {})}
            cls.metrics = a.metrics()
        cls.receipt = cls.c.told("materialize", "--pull")
        cls.c.run("export", "sft")
        cls.pushed["c"] = cls.c.told("push")
        for house in (cls.a, cls.b, cls.c):
            house.run("push", BOATHOUSE__OBJECT_STORAGE__URL=f"file://{cls.lake}")

    def listed(self, under: str) -> dict[str, int]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"house/{under}")
        found = [one for page in pages for one in page.get("Contents", [])]
        return {one["Key"].removeprefix("house/"): one["Size"] for one in found}

    def records(self, replica: str) -> list[dict]:
        """A journal's records as the data folder has them."""
        folder = {"a": self.a, "b": self.b}[replica].folder / "evidence"
        lines = [line for file in sorted(folder.glob("evidence-*.jsonl")) for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    def test_feedback_of_one_replica_is_of_the_tasks_of_another(self) -> None:
        self.assertEqual(self.receipt["counts"]["tasks"], 18)
        self.assertEqual(self.receipt["outcomes"], {"accepted": 12, "needs_review": 0, "partially_accepted": 0, "rejected": 6})
        self.assertEqual(self.receipt["feedback_without_task"], 0)
        replicas = self.receipt["pulled"]["replicas"]
        self.assertEqual([(one["replica"], one["intact"]) for one in replicas], [("a", True), ("b", True)])
        again = self.c.told("materialize", "--pull")
        self.assertTrue(again["unchanged"])
        self.assertTrue(json.loads(self.c.run("audit", "--json"))["sound"])

    def test_what_is_in_the_bucket_is_what_is_in_the_folder(self) -> None:
        self.assertGreater(max(self.listed("journal").values()), 8 << 20)
        for name, house in (("a", self.a), ("b", self.b)):
            for file in (house.folder / "evidence").glob("evidence-*.jsonl"):
                there = self.s3.get_object(Bucket=BUCKET, Key=f"house/journal/replica={name}/{file.name}")["Body"].read()
                self.assertEqual(there, file.read_bytes())
        export = self.c.folder / "datasets" / "exports" / "sft"
        for file in (file for file in export.rglob("*") if file.is_file()):
            key = f"house/exports/replica=c/sft/{file.relative_to(export)}"
            self.assertEqual(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), file.read_bytes())
        # The same in a folder that stands for a bucket; of what notes when it was opened and pushed there is more by then.
        here = {str(file.relative_to(self.lake)): file.stat().st_size for file in self.lake.rglob("*") if file.is_file()}
        same = lambda found: {key: size for key, size in found.items() if not key.endswith(("heads.log", "a/manifest.json", "b/manifest.json", "c/manifest.json"))}
        self.assertEqual(same(self.listed("")), same(here))
        self.assertEqual(self.metrics['boathouse_pushes_total{outcome="ok"}'], 1)
        self.assertGreater(self.metrics["boathouse_pushed_bytes_total"], 8 << 20)

    def test_duckdb_reads_the_bucket(self) -> None:
        files = s3fs.S3FileSystem(key="testing", secret="testing", endpoint_url=f"http://{self.endpoint}")
        self.check_duckdb(f"s3://{BUCKET}/house", files)

    def test_duckdb_reads_the_folder(self) -> None:
        self.check_duckdb(str(self.lake), None)

    def check_duckdb(self, root: str, files) -> None:
        with duckdb.connect() as ducks:
            if files is not None:
                ducks.register_filesystem(files)
            evidence = f"read_parquet('{root}/evidence/*/*/*.parquet', hive_partitioning = true)"
            counted = ducks.sql(f"SELECT replica, kind, count(*)::INT FROM {evidence} GROUP BY ALL ORDER BY ALL").fetchall()
            expected = {}
            for replica in "ab":
                for record in self.records(replica):
                    expected[replica, record["kind"]] = expected.get((replica, record["kind"]), 0) + 1
            self.assertEqual({(replica, kind): count for replica, kind, count in counted}, expected)
            days = ducks.sql(f"SELECT count(*)::INT FROM {evidence} WHERE date <> ts::DATE").fetchall()
            self.assertEqual(days, [(0,)])
            # Joined without the materializer: what was said of the answers of the other replica.
            said = ducks.sql(
                f"""SELECT chat.replica, said.replica, said.body->>'rating', count(*)::INT FROM {evidence} AS said
                    JOIN {evidence} AS chat ON chat.kind = 'chat' AND chat.id = said.body->>'target'
                    WHERE said.kind = 'feedback' GROUP BY ALL ORDER BY ALL"""
            ).fetchall()
            self.assertEqual(said, [("a", "b", "accepted", 6), ("a", "b", "rejected", 6), ("b", "a", "accepted", 6)])
            # The chain links, by Parquet alone.
            broken = ducks.sql(
                f"""SELECT count(*)::INT FROM (SELECT prev, lag(hash) OVER (PARTITION BY replica ORDER BY seq) AS before FROM {evidence})
                    WHERE before IS NOT NULL AND prev <> before"""
            ).fetchall()
            self.assertEqual(broken, [(0,)])
            tasks = f"read_parquet('{root}/tasks/*/*/*.parquet', hive_partitioning = true)"
            outcomes = ducks.sql(f"SELECT outcome, count(*)::INT FROM {tasks} GROUP BY ALL ORDER BY ALL").fetchall()
            self.assertEqual(outcomes, [("accepted", 12), ("rejected", 6)])
            crossed = ducks.sql(f"SELECT count(*)::INT FROM {tasks} WHERE feedback.replica <> '' ").fetchall()
            self.assertEqual(crossed, [(18,)])
            rows = ducks.sql(f"SELECT count(*)::INT FROM '{root}/exports/*/sft/parquet/*.parquet'").fetchall()
            rows_here = json.loads((self.c.folder / "datasets/exports/sft/receipt.json").read_text())["rows"]
            self.assertEqual(rows, [(rows_here,)])
            self.assertGreater(rows_here, 0)

    def test_pyarrow_reads_the_bucket(self) -> None:
        files = pyarrow.fs.S3FileSystem(
            access_key="testing", secret_key="testing", endpoint_override=self.endpoint, scheme="http", region="us-east-1"
        )
        for under in ("evidence", "tasks"):
            found = pyarrow.dataset.dataset(f"{BUCKET}/house/{under}", filesystem=files, partitioning="hive")
            expected = sum(len(self.records(name)) for name in "ab") if under == "evidence" else 18
            self.assertEqual(found.count_rows(), expected)
            self.assertIn("date", found.schema.names)
            one = found.to_table(filter=pyarrow.dataset.field("replica") == "a")
            self.assertEqual(one.num_rows, len(self.records("a")) if under == "evidence" else 0)

    def test_spark_reads_the_folder(self) -> None:
        if shutil.which("java") is None:
            self.fail("Spark needs Java: apt-get install default-jre-headless")
        from pyspark.sql import SparkSession

        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.log.level", "ERROR")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.session.timeZone", "UTC")
            .getOrCreate()
        )
        try:
            # The folders as they are: what is beside the partitions begins with an underscore.
            evidence = spark.read.parquet(f"{self.lake}/evidence")
            counted = {row["replica"]: row["count"] for row in evidence.groupBy("replica").count().collect()}
            self.assertEqual(counted, {name: len(self.records(name)) for name in "ab"})
            self.assertEqual(evidence.where("date <> to_date(ts)").count(), 0)
            said = evidence.where("kind = 'feedback'").selectExpr("get_json_object(body, '$.target') AS id")
            self.assertEqual(said.join(evidence.where("kind = 'chat'"), "id").count(), 18)
            tasks = spark.read.parquet(f"{self.lake}/tasks")
            outcomes = {row["outcome"]: row["count"] for row in tasks.groupBy("outcome").count().collect()}
            self.assertEqual(outcomes, {"accepted": 12, "rejected": 6})
            self.assertIn("date", tasks.columns)
            self.assertEqual(tasks.where("messages[size(messages) - 1].role = 'user'").count(), 18)
        finally:
            spark.stop()

    def test_what_is_erased_is_gone_from_the_bucket(self) -> None:
        d = House(self.root / "d", "d", f"s3://{BUCKET}/other", self.environment)
        with d.serving() as server:
            docs(server)
            kept, gone = server.chat("When does the kept boat leave?"), server.chat("When does the forgotten boat leave?")
        d.run("push")
        holding = lambda: [
            one["Key"]
            for one in self.s3.list_objects_v2(Bucket=BUCKET, Prefix="other/")["Contents"]
            if gone.encode() in self.s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
            and b"forgotten boat" in self.s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        ]
        self.assertEqual(len([key for key in holding() if key.endswith(".jsonl")]), 1)
        d.run("evidence", "erase", "--id", gone, "--reason", "asked", "--yes")
        self.assertGreater(d.told("push")["sent"], 0)
        self.assertEqual(holding(), [])
        files = s3fs.S3FileSystem(key="testing", secret="testing", endpoint_url=f"http://{self.endpoint}")
        with duckdb.connect() as ducks:
            ducks.register_filesystem(files)
            evidence = f"read_parquet('s3://{BUCKET}/other/evidence/*/*/*.parquet')"
            bodies = dict(ducks.sql(f"SELECT id, body IS NULL FROM {evidence} WHERE kind = 'chat'").fetchall())
            self.assertEqual(bodies, {kept: False, gone: True})
            self.assertEqual(ducks.sql(f"SELECT erased.reason FROM {evidence} WHERE id = '{gone}' AND erased IS NOT NULL").fetchall(), [("asked",)])
        self.assertEqual(d.told("push")["sent"], 0)

    def test_a_bucket_that_is_not_there_costs_a_warning(self) -> None:
        e = House(self.root / "e", "e", "s3://nowhere/house", self.environment)
        with e.serving(BOATHOUSE__OBJECT_STORAGE__PUSH_EVERY_MS="1000") as server:
            docs(server)
            with self.assertRaises(urllib.error.HTTPError) as failed:
                server.ask("/v1/push", {})
            with failed.exception as answer:
                self.assertIn(answer.code, (404, 503))
            server.chat("Does it serve?")
            self.assertGreaterEqual(server.metrics()['boathouse_pushes_total{outcome="failed"}'], 1)
            self.assertEqual(server.metrics()["boathouse_ready"], 1)
            self.assertIn("nowhere", json.dumps(server.ask("/v1/push")))
        found = json.loads(e.run("doctor", "--json", status=2))
        self.assertTrue(any(one["check"] == "object storage" and one["level"] == "fail" for one in found["findings"]), found)
        good = json.loads(self.a.run("doctor", "--json"))
        self.assertTrue(any(one["check"] == "object storage" and one["level"] == "ok" for one in good["findings"]), good)

    def test_another_journal_of_the_same_name_is_refused(self) -> None:
        other = House(self.root / "f", "a", f"s3://{BUCKET}/house", self.environment)
        with other.serving() as server:
            docs(server)
            server.chat("Who am I?")
        before = self.listed("journal")
        other.run("push", status=1)
        self.assertEqual(self.listed("journal"), before)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
