"""Stands in for a Qdrant server: the same gRPC services, over Qdrant's own engine in this process (`qdrant-edge-py`).

Prints `grpc PORT control PORT`. What a test asks of it goes to the control port as JSON over HTTP:
`POST /faults [{"method": "Upsert", "count": 2, "status": "UNAVAILABLE"}]` has the next calls fail (`"after": true`: when they
have done their work; `"hang": seconds`: late; `"skip": 1`: not the first), `POST /down` stops listening, `POST /up` listens again on the same port with
the same collections, `GET /calls` counts the calls of each method since the last `POST /calls`.
"""

import argparse
import collections
import concurrent.futures
import http.server
import json
import pathlib
import shutil
import tempfile
import threading
import uuid

import grpc
import qdrant_edge as edge
from qdrant_client.grpc import collections_pb2, points_pb2, qdrant_common_pb2, qdrant_pb2
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, qdrant_pb2_grpc
from qdrant_client.grpc import json_with_int_pb2

VERSION = "1.18.0"
DISTANCES = {
    collections_pb2.Distance.Cosine: edge.Distance.Cosine,
    collections_pb2.Distance.Dot: edge.Distance.Dot,
    collections_pb2.Distance.Euclid: edge.Distance.Euclid,
}
INDEXES = {
    points_pb2.FieldType.FieldTypeKeyword: edge.PayloadSchemaType.Keyword,
    points_pb2.FieldType.FieldTypeInteger: edge.PayloadSchemaType.Integer,
    points_pb2.FieldType.FieldTypeFloat: edge.PayloadSchemaType.Float,
    points_pb2.FieldType.FieldTypeBool: edge.PayloadSchemaType.Bool,
    points_pb2.FieldType.FieldTypeUuid: edge.PayloadSchemaType.Uuid,
}


class Refused(Exception):
    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


# From protobuf to the engine's types.


def to_json(value):
    kind = value.WhichOneof("kind")
    match kind:
        case "struct_value":
            return {key: to_json(inner) for key, inner in value.struct_value.fields.items()}
        case "list_value":
            return [to_json(inner) for inner in value.list_value.values]
        case "null_value" | None:
            return None
        case _:
            return getattr(value, kind)


def to_value(value):
    made = json_with_int_pb2.Value()
    match value:
        case None:
            made.null_value = 0
        case bool():
            made.bool_value = value
        case int():
            made.integer_value = value
        case float():
            made.double_value = value
        case str():
            made.string_value = value
        case list():
            made.list_value.SetInParent()
            made.list_value.values.extend(to_value(inner) for inner in value)
        case dict():
            made.struct_value.SetInParent()
            for key, inner in value.items():
                made.struct_value.fields[key].CopyFrom(to_value(inner))
        case other:
            raise TypeError(f"no JSON: {other!r}")
    return made


def to_id(point_id):
    if point_id.WhichOneof("point_id_options") == "num":
        return point_id.num
    try:
        return uuid.UUID(point_id.uuid)
    except ValueError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Unable to parse UUID: {point_id.uuid}") from error


def from_id(point_id):
    if isinstance(point_id, int):
        return qdrant_common_pb2.PointId(num=point_id)
    return qdrant_common_pb2.PointId(uuid=str(point_id))


def bounds(given):
    return {name: getattr(given, name) for name in ("lt", "gt", "lte", "gte") if given.HasField(name)}


def to_match(match):
    kind = match.WhichOneof("match_value")
    match kind:
        case "keyword" | "integer" | "boolean":
            return edge.MatchValue(getattr(match, kind))
        case "keywords":
            return edge.MatchAny(list(match.keywords.strings))
        case "integers":
            return edge.MatchAny(list(match.integers.integers))
        case "except_keywords":
            return edge.MatchExcept(list(match.except_keywords.strings))
        case "prefix":
            return edge.MatchPrefix(match.prefix)
        case other:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"the double knows no match {other}")


def to_condition(condition):
    kind = condition.WhichOneof("condition_one_of")
    match kind:
        case "field":
            field = condition.field
            if field.HasField("match"):
                return edge.FieldCondition(key=field.key, match=to_match(field.match))
            if field.HasField("range"):
                return edge.FieldCondition(key=field.key, range=edge.RangeFloat(**bounds(field.range)))
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"the double knows no condition {field}")
        case "is_empty":
            return edge.IsEmptyCondition(condition.is_empty.key)
        case "is_null":
            return edge.IsNullCondition(condition.is_null.key)
        case "has_id":
            return edge.HasIdCondition({to_id(one) for one in condition.has_id.has_id})
        case "filter":
            return to_filter(condition.filter)
        case "nested":
            return edge.NestedCondition(condition.nested.key, to_filter(condition.nested.filter))
        case "has_vector":
            return edge.HasVectorCondition(condition.has_vector.has_vector)
        case other:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"the double knows no condition {other}")


def to_filter(given):
    def all_of(conditions):
        return [to_condition(one) for one in conditions] or None

    least = None
    if given.HasField("min_should"):
        least = edge.MinShould(all_of(given.min_should.conditions) or [], given.min_should.min_count)
    return edge.Filter(must=all_of(given.must), should=all_of(given.should), must_not=all_of(given.must_not), min_should=least)


def filter_of(request):
    return to_filter(request.filter) if request.HasField("filter") else None


def to_vector(vector):
    match vector.WhichOneof("vector"):
        case "dense":
            return list(vector.dense.data)
        case "sparse":
            return edge.SparseVector(list(vector.sparse.indices), list(vector.sparse.values))
        case _ if vector.HasField("indices"):
            return edge.SparseVector(list(vector.indices.data), list(vector.data))
        case _:
            return list(vector.data)


def to_vectors(vectors):
    if vectors.WhichOneof("vectors_options") == "vector":
        return to_vector(vectors.vector)
    return {name: to_vector(one) for name, one in vectors.vectors.vectors.items()}


def from_vector(vector):
    if isinstance(vector, edge.SparseVector):
        sparse = points_pb2.SparseVector(indices=vector.indices, values=vector.values)
        return points_pb2.VectorOutput(sparse=sparse)
    return points_pb2.VectorOutput(dense=points_pb2.DenseVector(data=vector))


def from_vectors(vectors):
    if isinstance(vectors, dict):
        named = {name: from_vector(one) for name, one in vectors.items()}
        return points_pb2.VectorsOutput(vectors=points_pb2.NamedVectorsOutput(vectors=named))
    return points_pb2.VectorsOutput(vector=from_vector(vectors))


def with_payload(request):
    match request.with_payload.WhichOneof("selector_options"):
        case "enable":
            return request.with_payload.enable
        case "include":
            return list(request.with_payload.include.fields)
        case "exclude":
            return edge.PayloadSelector.Exclude(list(request.with_payload.exclude.fields))
        case _:
            return False


def with_vectors(request):
    match request.with_vectors.WhichOneof("selector_options"):
        case "enable":
            return request.with_vectors.enable
        case "include":
            return list(request.with_vectors.include.names)
        case _:
            return False


def fill(made, found):
    made.id.CopyFrom(from_id(found.id))
    for key, value in (found.payload or {}).items():
        made.payload[key].CopyFrom(to_value(value))
    # An empty list stands for what was not asked for.
    if found.vector:
        made.vectors.CopyFrom(from_vectors(found.vector))
    return made


class Collection:
    def __init__(self, request, folder: pathlib.Path) -> None:
        params = request.vectors_config
        vectors = {}
        for name, one in params.params_map.map.items():
            vectors[name] = edge.EdgeVectorParams(size=one.size, distance=DISTANCES[one.distance])
        sparse = {}
        for name, one in request.sparse_vectors_config.map.items():
            modifier = edge.Modifier.Idf if one.modifier == collections_pb2.Modifier.Idf else edge.Modifier.NoModifier
            sparse[name] = edge.EdgeSparseVectorParams(modifier=modifier)
        self.request = request
        self.folder = folder
        self.metadata = dict(request.metadata)
        self.lock = threading.Lock()
        folder.mkdir()
        self.shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=vectors, sparse_vectors=sparse))
        self.operations = 0

    def update(self, operation) -> int:
        with self.lock:
            self.shard.update(operation)
            self.operations += 1
            return self.operations


class Engine:
    """Every collection, and what was asked of the engine."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.collections: dict[str, Collection] = {}
        self.lock = threading.Lock()
        self.made = 0
        self.faults: list[dict] = []
        self.calls: collections.Counter = collections.Counter()
        self.key = None

    def of(self, name: str) -> Collection:
        found = self.collections.get(name)
        if found is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
        return found

    def fault(self, method: str):
        with self.lock:
            self.calls[method] += 1
            for fault in self.faults:
                if fault.get("method") in (None, method) and fault["count"] > 0:
                    if fault.get("skip", 0) > 0:
                        fault["skip"] -= 1
                        continue
                    fault["count"] -= 1
                    return fault
        return {}


def served(method):
    """A call with its faults, and errors of the engine as Qdrant tells them."""

    def call(self, request, context):
        fault = self.engine.fault(method.__name__)
        if self.engine.key is not None and ("api-key", self.engine.key) not in context.invocation_metadata():
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "Must provide an API key or an Authorization bearer token")
        if "hang" in fault:
            self.engine.woken.wait(fault["hang"])
        code = getattr(grpc.StatusCode, fault.get("status", "OK"))
        if code != grpc.StatusCode.OK and not fault.get("after"):
            context.abort(code, "a fault that a test asked for")
        try:
            answer = method(self, request, context)
        except Refused as refused:
            context.abort(refused.code, str(refused))
        except Exception as error:  # the engine has no class of its own for them
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {error}")
        if code != grpc.StatusCode.OK:
            context.abort(code, "a fault that a test asked for, after the work")
        if "update_status" in fault:
            answer.result.status = fault["update_status"]
        return answer

    return call


class Root(qdrant_pb2_grpc.QdrantServicer):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @served
    def HealthCheck(self, request, context):
        return qdrant_pb2.HealthCheckReply(title="qdrant - vector search engine", version=VERSION)


class Collections(collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @served
    def List(self, request, context):
        names = [collections_pb2.CollectionDescription(name=name) for name in list(self.engine.collections)]
        return collections_pb2.ListCollectionsResponse(collections=names)

    @served
    def CollectionExists(self, request, context):
        exists = request.collection_name in self.engine.collections
        return collections_pb2.CollectionExistsResponse(result=collections_pb2.CollectionExists(exists=exists))

    @served
    def Create(self, request, context):
        with self.engine.lock:
            if request.collection_name in self.engine.collections:
                raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{request.collection_name}` already exists!")
            self.engine.made += 1
            folder = self.engine.folder / str(self.engine.made)
            self.engine.collections[request.collection_name] = Collection(request, folder)
        return collections_pb2.CollectionOperationResponse(result=True)

    @served
    def Update(self, request, context):
        self.engine.of(request.collection_name).metadata.update(request.metadata)
        return collections_pb2.CollectionOperationResponse(result=True)

    @served
    def Delete(self, request, context):
        with self.engine.lock:
            found = self.engine.collections.pop(request.collection_name, None)
        if found is not None:
            with found.lock:
                found.shard.close()
            shutil.rmtree(found.folder, ignore_errors=True)
        return collections_pb2.CollectionOperationResponse(result=found is not None)

    @served
    def Get(self, request, context):
        found = self.engine.of(request.collection_name)
        with found.lock:
            info = found.shard.info()
        made = collections_pb2.CollectionInfo(status=collections_pb2.CollectionStatus.Green)
        made.optimizer_status.ok = True
        made.segments_count = info.segments_count
        made.points_count = info.points_count
        made.indexed_vectors_count = info.indexed_vectors_count
        made.config.params.vectors_config.CopyFrom(found.request.vectors_config)
        made.config.params.sparse_vectors_config.CopyFrom(found.request.sparse_vectors_config)
        made.config.params.shard_number = found.request.shard_number or 1
        for key, value in found.metadata.items():
            made.config.metadata[key].CopyFrom(value)
        for key, index in info.payload_schema.items():
            made.payload_schema[key].points = index.points
        return collections_pb2.GetCollectionInfoResponse(result=made)


def completed(operation: int):
    result = points_pb2.UpdateResult(operation_id=operation, status=points_pb2.UpdateStatus.Completed)
    return points_pb2.PointsOperationResponse(result=result)


class Points(points_service_pb2_grpc.PointsServicer):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @served
    def Upsert(self, request, context):
        found = self.engine.of(request.collection_name)
        points = []
        for point in request.points:
            payload = {key: to_json(value) for key, value in point.payload.items()}
            points.append(edge.Point(to_id(point.id), to_vectors(point.vectors), payload))
        return completed(found.update(edge.UpdateOperation.upsert_points(points)))

    @served
    def Delete(self, request, context):
        found = self.engine.of(request.collection_name)
        if request.points.WhichOneof("points_selector_one_of") == "points":
            ids = [to_id(one) for one in request.points.points.ids]
            operation = edge.UpdateOperation.delete_points(ids)
        else:
            operation = edge.UpdateOperation.delete_points_by_filter(to_filter(request.points.filter))
        return completed(found.update(operation))

    @served
    def CreateFieldIndex(self, request, context):
        found = self.engine.of(request.collection_name)
        operation = edge.UpdateOperation.create_field_index(request.field_name, INDEXES[request.field_type])
        return completed(found.update(operation))

    @served
    def DeleteFieldIndex(self, request, context):
        found = self.engine.of(request.collection_name)
        return completed(found.update(edge.UpdateOperation.delete_field_index(request.field_name)))

    @served
    def Get(self, request, context):
        found = self.engine.of(request.collection_name)
        ids = [to_id(one) for one in request.ids]
        with found.lock:
            records = found.shard.retrieve(ids, with_payload(request), with_vectors(request))
        return points_pb2.GetResponse(result=[fill(points_pb2.RetrievedPoint(), one) for one in records])

    @served
    def Scroll(self, request, context):
        found = self.engine.of(request.collection_name)
        asked = edge.ScrollRequest(
            offset=to_id(request.offset) if request.HasField("offset") else None,
            limit=request.limit if request.HasField("limit") else 10,
            filter=filter_of(request),
            with_payload=with_payload(request),
            with_vector=with_vectors(request),
            order_by=edge.OrderBy(request.order_by.key) if request.HasField("order_by") else None,
        )
        with found.lock:
            records, following = found.shard.scroll(asked)
        answer = points_pb2.ScrollResponse(result=[fill(points_pb2.RetrievedPoint(), one) for one in records])
        if following is not None:
            answer.next_page_offset.CopyFrom(from_id(following))
        return answer

    @served
    def Count(self, request, context):
        found = self.engine.of(request.collection_name)
        with found.lock:
            count = found.shard.count(edge.CountRequest(exact=request.exact, filter=filter_of(request)))
        return points_pb2.CountResponse(result=points_pb2.CountResult(count=count))

    @served
    def Query(self, request, context):
        found = self.engine.of(request.collection_name)
        with found.lock:
            return points_pb2.QueryResponse(result=query(found, request))

    @served
    def QueryBatch(self, request, context):
        found = self.engine.of(request.collection_name)
        with found.lock:
            results = [points_pb2.BatchResult(result=query(found, one)) for one in request.query_points]
        return points_pb2.QueryBatchResponse(result=results)


def query(found: Collection, request):
    if request.query.WhichOneof("variant") != "nearest":
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "the double knows only nearest")
    nearest = request.query.nearest
    if nearest.WhichOneof("variant") == "sparse":
        vector = edge.SparseVector(list(nearest.sparse.indices), list(nearest.sparse.values))
    else:
        vector = list(nearest.dense.data)
    params = edge.SearchParams(
        hnsw_ef=request.params.hnsw_ef if request.params.HasField("hnsw_ef") else None,
        exact=request.params.exact,
    )
    asked = edge.QueryRequest(
        limit=request.limit if request.HasField("limit") else 10,
        offset=request.offset,
        query=edge.Query.Nearest(vector, using=request.using or None),
        with_vector=with_vectors(request),
        with_payload=with_payload(request),
        filter=filter_of(request),
        params=params,
    )
    scored = []
    for one in found.shard.query(asked):
        made = fill(points_pb2.ScoredPoint(), one)
        made.score = one.score
        scored.append(made)
    return scored


class Double:
    """The server, which can go away and come back."""

    def __init__(self, engine: Engine, port: int) -> None:
        self.engine = engine
        self.port = port
        self.server = None
        self.up()

    def up(self) -> None:
        if self.server is not None:
            return
        self.engine.woken = threading.Event()
        workers = concurrent.futures.ThreadPoolExecutor(16)
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", -1)]
        server = grpc.server(workers, options=options)
        qdrant_pb2_grpc.add_QdrantServicer_to_server(Root(self.engine), server)
        collections_service_pb2_grpc.add_CollectionsServicer_to_server(Collections(self.engine), server)
        points_service_pb2_grpc.add_PointsServicer_to_server(Points(self.engine), server)
        bound = server.add_insecure_port(f"127.0.0.1:{self.port}")
        if bound == 0:
            raise OSError(f"port {self.port} is taken")
        self.port = bound
        server.start()
        self.server = server

    def down(self) -> None:
        if self.server is not None:
            self.engine.woken.set()
            self.server.stop(None).wait()
            self.server = None


class Control(http.server.BaseHTTPRequestHandler):
    double: Double

    def answer(self, body) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.answer(self.double.engine.calls)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        engine = self.double.engine
        match self.path:
            case "/faults":
                with engine.lock:
                    engine.faults = json.loads(body)
            case "/calls":
                engine.calls.clear()
            case "/down":
                self.double.down()
            case "/up":
                self.double.up()
        self.answer({})

    def log_message(self, *_) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(pathlib.Path(folder))
        engine.key = given.api_key
        Control.double = Double(engine, given.port)
        control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
        print(f"grpc {Control.double.port} control {control.server_port}", flush=True)
        try:
            control.serve_forever()
        except KeyboardInterrupt:
            Control.double.down()


if __name__ == "__main__":
    main()
