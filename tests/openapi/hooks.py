"""What no setting of schemathesis can say. Each says why it is there."""

import json
import urllib.request

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, ServerError

# One of these may be at fault while the others are served: the answer says so item by item, under 200.
BATCHES = {
    "/v1/validate": lambda answer: [item.get("error") for item in answer.get("results", [])],
    "/v1/evidence/import": lambda answer: answer.get("refused"),
    "/v1/collections/{name}/search/batch": lambda answer: [item.get("error") for item in answer.get("results", [])],
}
FILTER = "#/components/schemas/Filter"
PLAIN = "#/components/schemas/PlainFilter"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """A filter may hold filters in three ways. The tool unfolds all of them, which takes it half a minute for each operation with a filter:
    it is shown one way, and in the two others filters that hold no more of them.
    """
    schemas = raw_schema["components"]["schemas"]
    whole = schemas["Filter"]
    paths = {"anyOf": [path for path in whole["propertyNames"]["anyOf"] if "pattern" in path] + [{"const": ""}]}
    schemas["PlainFilter"] = {name: value for name, value in whole.items() if name != "properties"} | {"propertyNames": paths}
    for name in ("$or", "$not"):
        text = json.dumps(whole["properties"][name])
        assert FILTER in text, f"{name} does not hold filters any more: this hook can go"
        whole["properties"][name] = json.loads(text.replace(FILTER, PLAIN))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What is refused item by item is refused; who gives a model two milliseconds is told when they are over; and of a request of Ollama's
    that only has a model loaded nothing else is read.
    """
    if isinstance(failure, ServerError):
        return response.status_code != 504 or response.json().get("code") != "validation_deadline"
    if not isinstance(failure, AcceptedNegativeData):
        return True
    if case.operation.path.startswith("/api/") and response.status_code == 200 and b'"done_reason":"load"' in response.content:
        return False
    refused = BATCHES.get(case.operation.path)
    return refused is None or not any(refused(response.json()) or [])


@schemathesis.hook
def after_call(context, case, response):
    """Searches and writes go on meeting a collection with something in it, whatever was deleted before."""
    if case.operation.method == "delete" and case.operation.path == "/v1/collections/{name}" and response.status_code == 200:
        base = case.operation.schema.get_base_url().rstrip("/")
        name = response.json()["deleted"]
        if name == "docs":
            for method, path, body in (("PUT", "", {}), ("POST", "/points", {"points": [{"id": "lock-7", "text": "Lock 7 opens again at Easter."}]})):
                request = urllib.request.Request(f"{base}/v1/collections/docs{path}", json.dumps(body).encode(), method=method)
                urllib.request.urlopen(request).close()
