"""What the documentation says a collection answers, worked out slowly: filters, scores, fusion, mmr, groups."""

import datetime
import math
import struct

MAX_SECONDS = 1e11
# The last moment that jiff knows: 9999-12-30T22:00:00.999999Z.
LAST = 253402207200_999999


def f32(number: float) -> float:
    return struct.unpack("f", struct.pack("f", number))[0]


# Filters.


def matches(condition: dict, payload: dict, datetimes: frozenset = frozenset()) -> bool:
    return all(_entry(key, value, payload, datetimes) for key, value in condition.items())


def _entry(key, value, payload, datetimes) -> bool:
    match key:
        case "$and":
            return all(matches(one, payload, datetimes) for one in value)
        case "$or":
            return any(matches(one, payload, datetimes) for one in value)
        case "$not":
            return not matches(value, payload, datetimes)
    if isinstance(value, dict) and value and all(name.startswith("$") for name in value):
        return _operators(key, value, payload, datetimes)
    return _operators(key, {"$eq": value}, payload, datetimes)


def _operators(path, operators, payload, datetimes) -> bool:
    found = list(reached(payload, path))
    return all(_operator(name, wanted, found, path, payload, datetimes) for name, wanted in operators.items())


def _operator(name, wanted, found, path, payload, datetimes) -> bool:
    dated = path in datetimes
    match name:
        case "$eq":
            return any(_is(value, wanted, dated) for value in found)
        case "$ne":
            return not any(_is(value, wanted, dated) for value in found)
        case "$in":
            return any(_is(value, one, dated) for value in found for one in wanted)
        case "$nin":
            return not any(_is(value, one, dated) for value in found for one in wanted)
        case "$exists":
            return bool(found) == wanted
        case "$not":
            return not _operators(path, wanted, payload, datetimes)
        case _:
            return any(_ordered(name, item, wanted, dated) for value in found for item in _items(value))


def reached(payload: dict, path: str):
    """Every value that a path leads to: each dot may end a key."""
    if path in payload:
        yield payload[path]
    for at, letter in enumerate(path):
        if letter != ".":
            continue
        inner, rest = payload.get(path[:at]), path[at + 1 :]
        for one in [inner] if isinstance(inner, dict) else inner if isinstance(inner, list) else []:
            if isinstance(one, dict):
                yield from reached(one, rest)


def _items(value):
    return [value, *value] if isinstance(value, list) else [value]


def _is(value, wanted, dated) -> bool:
    if any(equal(item, wanted) for item in _items(value)):
        return True
    at = moment(wanted) if dated else None
    return at is not None and any(moment(item) == at for item in _items(value))


def _ordered(name, value, wanted, dated) -> bool:
    found = None
    if dated and moment(wanted) is not None and moment(value) is not None:
        found = _sign(moment(value), moment(wanted))
    else:
        found = compare(value, wanted)
    if found is None:
        return False
    return {"$gt": found > 0, "$gte": found >= 0, "$lt": found < 0, "$lte": found <= 0}[name]


def _number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sign(a, b) -> int:
    return (a > b) - (a < b)


def compare(a, b):
    if isinstance(a, str) and isinstance(b, str):
        return _sign(a.encode(), b.encode())
    if _number(a) and _number(b):
        whole = isinstance(a, int) and isinstance(b, int)
        return _sign(a, b) if whole else _sign(float(a), float(b))
    return None


def equal(a, b) -> bool:
    if _number(a) and _number(b):
        return compare(a, b) == 0
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def moment(value):
    """Microseconds of Unix time."""
    if _number(value):
        return round(value * 1_000_000) if abs(value) <= MAX_SECONDS else None
    if not isinstance(value, str) or not (value[:4].isdigit() and value[4:5] == "-"):
        return None
    try:
        found = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
    micros = (found - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
    return micros if micros <= LAST else None


# Scores.


def dot(a, b) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def length(a) -> float:
    return math.sqrt(dot(a, a))


def score(metric: str, a, b) -> float:
    match metric:
        case "cosine":
            return dot(a, b) / (length(a) * length(b))
        case "dot":
            return dot(a, b)
        case "l2":
            return 1 / (1 + length([x - y for x, y in zip(a, b)]))


def ranked(scores: dict) -> list:
    """Best first; equal ones in order of id."""
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))


def bm25(texts: dict, query: str, average: float | None = None) -> dict:
    """Scores of texts whose words, split at spaces, are their own stems and no stop words."""
    split = {point: text.split() for point, text in texts.items() if text.split()}
    mean = average or sum(map(len, split.values())) / max(len(split), 1)
    found = {}
    for word in set(query.split()):
        having = [point for point, words in split.items() if word in words]
        idf = math.log(1 + (len(split) - len(having) + 0.5) / (len(having) + 0.5))
        for point in having:
            count, words = split[point].count(word), len(split[point])
            weight = count * 2.2 / (count + 1.2 * (0.25 + 0.75 * words / mean))
            found[point] = found.get(point, 0) + idf * weight
    return found


def rrf(lists: list, k: int) -> dict:
    best, found = len(lists) / (k + 1), {}
    for one in lists:
        for at, (point, _) in enumerate(one):
            found[point] = found.get(point, 0) + 1 / (k + 1 + at) / best
    return found


def weighted(dense: list, lexical: list, weight: float) -> dict:
    found = {}
    low, high = dense[-1][1], dense[0][1]
    for point, value in dense:
        found[point] = weight * ((value - low) / (high - low) if high > low else 1)
    for point, value in lexical:
        found[point] = found.get(point, 0) + (1 - weight) * value / lexical[0][1]
    return found


def mmr(found: list, vectors: dict, query, lam: float, k: int) -> list:
    """Ids in the order they are chosen."""
    cosine = lambda a, b: score("cosine", a, b) if any(a) and any(b) else 0.0
    left, chosen = [point for point, _ in found], []
    while left and len(chosen) < k:
        worth = lambda point: lam * cosine(query, vectors[point]) - (1 - lam) * max(
            (cosine(vectors[point], vectors[other]) for other in chosen), default=0.0
        )
        best = max(left, key=worth)
        left.remove(best)
        chosen.append(best)
    return chosen


def groups(found: list, payloads: dict, path: str, k: int, size: int) -> list:
    """Pairs of a group's value and its ids."""
    made: dict = {}
    for point, _ in found:
        seen = []
        for value in reached(payloads[point], path):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, (str, bool, int)) and not any(item == one and type(item) is type(one) for one in seen):
                    seen.append(item)
        for item in seen:
            key = (type(item).__name__, item)
            if key not in made and len(made) == k:
                continue
            ids = made.setdefault(key, [])
            if len(ids) < size:
                ids.append(point)
    return [(key[1], ids) for key, ids in made.items()]
