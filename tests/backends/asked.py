"""Points with every kind of payload, and filters that each say something that no other says."""

import random

import oracle

WORDS = "boat lake rudder anchor mast keel bow stern sail rope dock pier buoy helm".split()
DIM = 8
WHO = ["ann", "bob", "ärger"]

FILTERS = [
    {"city": "Bern"},
    {"city": "bern"},
    {"city": {"$ne": "Bern"}},
    {"year": 2021},
    {"year": 2021.0},
    {"price": 2},
    {"price": {"$gt": 1.5, "$lte": 2}},
    {"year": {"$gte": 2020, "$lt": 2022}},
    {"year": {"$gt": 2020.5}},
    {"year": "2021"},
    {"year": {"$gt": "2000"}},
    {"big": 9007199254740993},
    {"big": 9007199254740992},
    {"big": {"$in": [18446744073709551615]}},
    {"big": {"$gt": 4096}},
    {"tiny": {"$lt": 0}},
    {"zero": 0},
    {"on": True},
    {"on": {"$in": [False, 1]}},
    {"on": 1},
    {"none": None},
    {"missing": None},
    {"none": {"$exists": True}},
    {"missing": {"$exists": False}},
    {"city": {"$exists": True}},
    {"city": {"$in": ["Basel", "Bern", 3]}},
    {"city": {"$in": []}},
    {"city": {"$nin": []}},
    {"city": {"$nin": ["Basel", None]}},
    {"year": {"$in": ["2021", 2021.0, None]}},
    {"tags": "a"},
    {"tags": ["a", "b"]},
    {"tags": ["b", "a"]},
    {"tags": {"$in": ["z", "b"]}},
    {"tags": {"$nin": ["a"]}},
    {"tags": []},
    {"tags": {"$exists": True}},
    {"sizes": {"$gt": 4}},
    {"sizes": {"$gt": 2, "$lt": 4}},
    {"sizes": [1, 5.0]},
    {"owner.name": "Ann"},
    {"owner": {"name": "Ann", "age": 3}},
    {"owner": {"age": 3.0, "name": "Ann"}},
    {"owner": {}},
    {"owner.home.zip": {"$exists": True}},
    {"owner.home": {"zip": "3000"}},
    {"owner.age": {"$gt": 1}},
    {"a.b": "dotted"},
    {"a.b.c": 1},
    {"items.sku": "y"},
    {"items.n": {"$gt": 6}},
    {"items.n": {"$not": {"$gt": 6}}},
    {"items": {"sku": "x", "n": 1}},
    {"items.deep.k": {"$exists": True}},
    {"grid": [1, 2]},
    {"grid": 1},
    {'q"uote]': "x"},
    {"": "empty key"},
    {"ünï.cödé": "ß"},
    {"$or": [{"city": "Basel"}, {"year": 2021}]},
    {"$and": [{"city": "Bern"}, {"$or": [{"year": 2020}, {"on": True}]}]},
    {"$not": {"city": "Bern"}},
    {"$not": {"$or": [{"city": "Basel"}, {"tags": "c"}]}, "on": True},
    {"$not": {"$not": {"city": "Bern"}}},
    {"year": {"$not": {"$gt": 2021}}},
    {"at": "2026-03-01"},
    {"at": {"$gte": "2026-03-01T00:00:00Z"}},
    {"at": {"$lt": "2026-03-01T12:00:00+02:00"}},
    {"at": {"$gt": 1772323199.5}},
    {"at": 1772323200},
    {"at": {"$in": ["2026-03-01T01:00:00+01:00", "soon"]}},
    {"at": {"$ne": "2026-03-01T00:00:00"}},
    {"at": {"$lte": "2026-03-01T00:00:00.000001Z"}},
    {"at": "soon"},
    {"at": {"$exists": False}},
    {"at": "9998-01-01T01:00:00+01:00"},
]
# What not every engine can order, and then says so.
STRING_ORDERS = [
    {"date": {"$gte": "2024-01-01", "$lt": "2024-06"}},
    {"date": {"$gt": "2024-05-01"}},
    {"date": {"$gte": "2024-05-01"}},
    {"date": {"$lte": "2024-05-01T00"}},
    {"city": {"$gt": "Basel"}},
    {"city": {"$lt": ""}},
    {"city": {"$gte": ""}},
    {"city": {"$lt": "Bern\u0001"}},
    {"tags": {"$lt": "b"}},
    {"who": {"$gt": "z"}},
    {"date": {"$gt": 2024}},
    {"at": {"$gt": "2026-03-01"}},
    {"at": {"$lt": "tomorrow"}},
    {"city": {"$lt": "x" * 40}},
    {"big": {"$gt": 9007199254740992}},
    {"big": {"$lte": 9007199254740993}},
    {"big": {"$lt": 18446744073709551615}},
    {"at": {"$lt": "9999-12-31"}},
    {"at": {"$lt": "9999-12-01"}},
    {"at": {"$gte": "1066-10-14"}},
]


def payload_of(dice: random.Random) -> dict:
    made: dict = {}

    def some(key, *values) -> None:
        if dice.random() < 0.7:
            made[key] = dice.choice(values)

    some("city", "Bern", "Basel", "Genève", "", "Bern\u0001", "x" * 39 + "y", ["Bern", "Zug"])
    some("year", 2020, 2021, 2021.0, 2022, "2021", [2019, 2023])
    some("price", 2.0, 2, 1.5, 1.75, -3.25)
    some("big", 9007199254740992, 9007199254740993, 18446744073709551615, -9223372036854775808, 1e300, 4096)
    some("tiny", -1e-300, 5e-324, -0.0, 0)
    some("zero", 0, -0.0, 0.0, False, None)
    some("on", True, False, 1)
    some("none", None, [None], "None")
    some("tags", ["a", "b"], ["b", "a"], [], ["c"], "a", [["a"]])
    some("sizes", [1, 5], [2], [2, 5.0], 3, ["3"])
    some("owner", {"name": "Ann", "age": 3}, {"name": "Bob", "home": {"zip": "3000"}}, {}, "Ann", [{"name": "Ann"}, {"age": 9}])
    some("a.b", "dotted", {"c": 1})
    some("a", {"b": "dotted"}, {"b.c": 1}, {"b": {"c": 1.0}}, {"b": [{"c": 2}, {"c": 1}]})
    some("items", [{"sku": "x", "n": 1}, {"sku": "y", "n": 7}, "loose"], [{"n": 1, "sku": "x"}], [{"deep": {"k": None}}], [])
    some("grid", [[1, 2], [3]], [1, 2], [[1], 2])
    some('q"uote]', "x", 1)
    some("", "empty key")
    some("ünï", {"cödé": "ß"})
    some("date", "2024-05-01", "2024-01-01", "2023-12-31T23:59:59Z", "2024-06", 2024, ["2022", "2024-05-01T00:00"])
    some("at", "2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01T01:00:00+01:00", 1772323200, 1772323200.5, "soon", "2026-03-01T00:00:00.0000015Z", "2026-02-28T23:59:59.999999Z", 1e300, "9999-12-31T00:00:00Z", "9998-01-01", "9998-01-01T00:00:00Z", ["2020-01-01", "2030-01-01"])
    some("who", *WHO, ["ann", "bob"])
    return made


def points_of(count: int, seed: int, dim: int = DIM) -> list:
    dice = random.Random(seed)
    made = []
    for n in range(count):
        vector = [oracle.f32(dice.uniform(-1, 1)) for _ in range(dim)]
        text = " ".join(dice.choices(WORDS, k=dice.randint(1, 12)))
        made.append({"id": f"p/{n} ü" if n % 7 == 0 else f"{n:04}", "vector": vector, "text": text, "payload": payload_of(dice)})
    return made


def any_filter(dice: random.Random, depth: int) -> dict:
    if depth and dice.random() < 0.5:
        parts = [any_filter(dice, depth - 1) for _ in range(dice.randint(1, 3))]
        return dice.choice([{"$and": parts}, {"$or": parts}, {"$not": parts[0]}])
    payload = {}
    while not payload:
        payload = payload_of(dice)
    path, value = dice.choice(list(payload.items()))
    if path == "at":
        path = "price"
    if isinstance(value, dict) and value and dice.random() < 0.7:
        key, value = dice.choice(list(value.items()))
        path = f"{path}.{key}"
    number = dice.choice([-1, 0, 1.5, 2, 2021, 4096.5])
    return dice.choice(
        [
            {path: {"$eq": value}},
            {path: {"$ne": value}},
            {path: {"$in": [value, number, "a"]}},
            {path: {"$nin": [value, None, True]}},
            {path: {"$exists": dice.random() < 0.5}},
            {path: {dice.choice(["$gt", "$gte", "$lt", "$lte"]): number}},
            {path: {"$not": {dice.choice(["$gt", "$lte"]): number}}},
        ]
    )
