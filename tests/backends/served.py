"""Boathouse, and the engines behind it, as processes of this test."""

import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent


class Failed(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, body: dict, headers) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        # The form of the interface's own errors, RFC 9457.
        self.message = body.get("detail", "")
        self.headers = headers


class Server:
    def __init__(self, binary: str, folder: str, env: dict | None = None) -> None:
        self.command = [binary, "serve", "--port", "0", "--data", folder]
        self.folder = folder
        self.env = {**os.environ, **(env or {})}
        self.log = open(f"{folder}.log", "ab")
        self.start()

    def start(self) -> None:
        self.child = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=self.env)
        line = self.child.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(f"no server: {line!r}; {pathlib.Path(self.log.name).read_text()[-2000:]}")
        self.url = "http://" + line.split("http://")[1].split()[0]

    def ask(self, method: str, path: str, body=None):
        """Vectors come with as many digits as tell one `f32` from the next: they are compared as such."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Failed(error.code, json.loads(error.read()), error.headers) from None

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=60)
        self.child.stdout.close()

    def kill(self) -> None:
        """It has no time to end anything."""
        self.child.kill()
        self.child.wait(timeout=60)
        self.child.stdout.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        self.log.close()


class Collection:
    """One collection of a server."""

    def __init__(self, server: Server, name: str, backend: str, **body) -> None:
        self.server, self.name, self.backend = server, name, backend
        self.path = f"/v1/collections/{name}"
        # The index of its own is what stands where nothing is said.
        self.body = body if backend == "hnsw" else {**body, "backend": backend}
        self.info = server.ask("PUT", self.path, self.body)

    def upsert(self, points: list) -> int:
        return self.server.ask("POST", f"{self.path}/points", {"points": points})["upserted"]

    def point(self, point: str) -> dict:
        return self.server.ask("GET", f"{self.path}/points/{urllib.parse.quote(point, safe='')}")

    def delete(self, **body) -> int:
        return self.server.ask("POST", f"{self.path}/points/delete", body)["deleted"]

    def count(self, **body) -> int:
        return self.server.ask("POST", f"{self.path}/points/count", body)["count"]

    def page(self, **body) -> dict:
        return self.server.ask("POST", f"{self.path}/points/scroll", body)

    def scroll(self, **body) -> list:
        found, after = [], None
        while True:
            page = self.page(**body, **({} if after is None else {"after": after}))
            found += page["points"]
            after = page["next"]
            if after is None:
                return found

    def search(self, **body) -> list:
        return self.server.ask("POST", f"{self.path}/search", body)["hits"]

    def groups(self, **body) -> list:
        return self.server.ask("POST", f"{self.path}/search", body)["groups"]

    def recommend(self, **body) -> list:
        return self.server.ask("POST", f"{self.path}/recommend", body)["hits"]

    def describe(self) -> dict:
        return self.server.ask("GET", self.path)

    def remove(self) -> None:
        self.server.ask("DELETE", self.path)


class Double:
    """The double of Qdrant."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-B", str(HERE / "qdrant_double.py"), *arguments]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        words = self.child.stdout.readline().split()
        self.url, self.control = f"http://127.0.0.1:{words[1]}", f"http://127.0.0.1:{words[3]}"

    def _ask(self, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.control + path, data), timeout=60) as answer:
            return json.load(answer)

    def fail(self, *faults: dict) -> None:
        self._ask("/faults", list(faults))

    def down(self) -> None:
        self._ask("/down", {})

    def up(self) -> None:
        self._ask("/up", {})

    def calls(self) -> dict:
        return self._ask("/calls")

    def forget_calls(self) -> None:
        self._ask("/calls", {})

    def close(self) -> None:
        self.child.terminate()
        self.child.wait(timeout=60)
        self.child.stdout.close()


class Bucket:
    """A bucket of an S3 of this machine."""

    def __init__(self) -> None:
        # Only who asks for a bucket waits for it.
        import boto3
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.moto.start()
        host, port = self.moto.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
        self.env = {**keys, "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true"}
        name = f"tables-{port}"
        own = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        own.create_bucket(Bucket=name)
        self.url = f"s3://{name}/some/prefix"

    def close(self) -> None:
        self.moto.stop()
