"""What every backend is asked alike."""

import json
import random
import threading
import time

import oracle
from asked import DIM, FILTERS, STRING_ORDERS, WHO, WORDS, any_filter, points_of
from backend import Backend, Refusal
from served import Collection, Failed


class Cases:
    backend: Backend
    # More than a busy machine needs.
    timeout_ms = 60_000
    # One filled collection for what only reads.
    shared: Collection | None = None

    def filled(self) -> tuple:
        cls = type(self)
        if cls.shared is None:
            cls.points = points_of(300, 1)
            cls.shared = self.backend.collection(metric="cosine", fields={"at": "datetime", "city": "keyword", "year": "integer"})
            cls.shared.upsert(cls.points[:200])
            cls.shared.upsert(cls.points[200:])
        return cls.shared, cls.points

    def refused(self, status, *words: str):
        return Refusal(self, status, words)

    def near(self, hits: list, expected: list, delta: float = 1e-5) -> None:
        """The hits are the first of `expected`; equal scores may change places where floats round."""
        self.assertEqual(len(hits), len(expected), (hits, expected))
        scores = dict(expected)
        for hit, (_, value) in zip(hits, expected):
            self.assertAlmostEqual(hit["score"], value, delta=delta * max(1, abs(value)))
            self.assertAlmostEqual(hit["score"], scores.get(hit["id"], value), delta=delta * max(1, abs(value)))
        self.assertEqual(len({hit["id"] for hit in hits}), len(hits))

    # Collections.

    def test_a_collection_comes_is_described_and_goes(self) -> None:
        made = self.backend.collection(metric="l2", fields={"year": "integer"})
        self.assertEqual([made.info[key] for key in ("name", "dim", "metric")], [made.name, DIM, "l2"])
        self.assertEqual(made.describe()["fields"], {"year": "integer"})
        # Asking again changes nothing; asking for another is a conflict.
        again = self.backend.server.ask("PUT", made.path, made.body)
        self.assertEqual(again["created_ms"], made.info["created_ms"])
        with self.refused(409):
            self.backend.server.ask("PUT", made.path, {**made.body, "dim": 3})
        names = [one["name"] for one in self.backend.server.ask("GET", "/v1/collections")["collections"]]
        self.assertIn(made.name, names)
        made.upsert([{"id": "a", "vector": [1.0] * DIM}])
        made.remove()
        for gone in (made.describe, lambda: made.count(), lambda: made.remove()):
            with self.refused(404):
                gone()
        # Another of the same name begins empty.
        self.backend.server.ask("PUT", made.path, {**made.body, "metric": "dot"})
        self.assertEqual(made.count(), 0)
        made.remove()

    # Points.

    def test_points_come_back_as_they_were_written(self) -> None:
        for metric in ("dot", "l2"):
            made = self.backend.collection(metric=metric)
            points = points_of(40, 2)
            points[1]["text"] = ""
            del points[2]["text"]
            points[3]["vector"] = [0.0, -0.0, oracle.f32(1e-40), oracle.f32(3e-39), 1.5, -2.0, oracle.f32(1e15), 1.0]
            points[4]["id"] = "x" * 512
            points[5]["id"] = "\U0001f6a3 \u2028 \"'\\"
            points[6]["payload"] = {"n": [1, 1.0, -1, 2**63, 2**64 - 1, -(2**63), 0.1, 1e300, 5e-324], "deep": {"a": [{"b": [[]]}]}}
            points[7]["text"] = "long " * 20000
            self.assertEqual(made.upsert(points), 40)
            for point in points:
                found = made.point(point["id"])
                found["vector"] = [oracle.f32(number) for number in found["vector"]]
                self.assertEqual(found, point)
                # 1 and 1.0 are equal to Python, and are not the same.
                self.assertEqual(sorted_json(found["payload"]), sorted_json(point["payload"]))

    def test_a_cosine_vector_can_be_written_back(self) -> None:
        made = self.backend.collection(metric="cosine")
        points = points_of(20, 3)
        made.upsert(points)
        once = [made.point(point["id"]) for point in points]
        for found, point in zip(once, points):
            self.assertAlmostEqual(oracle.length(found["vector"]), 1, delta=1e-5)
            self.assertAlmostEqual(oracle.score("cosine", found["vector"], point["vector"]), 1, delta=1e-6)
        made.upsert(once)
        self.assertEqual([made.point(point["id"]) for point in points], once)

    def test_an_upsert_replaces_whole_points_and_the_last_of_equal_ids_stays(self) -> None:
        made = self.backend.collection(metric="dot")
        vector = [1.0] * DIM
        made.upsert([{"id": "a", "vector": vector, "text": "boat", "payload": {"x": 1, "y": 2}}])
        self.assertEqual(made.upsert([{"id": "a", "vector": vector, "payload": {"x": 3}}, {"id": 7, "vector": vector}, {"id": "a", "vector": vector, "payload": {"z": 1}}]), 2)
        self.assertEqual(made.point("a"), {"id": "a", "vector": vector, "payload": {"z": 1}})
        self.assertEqual(made.point("7")["payload"], {})
        self.assertEqual(made.count(), 2)
        self.assertEqual(made.count(filter={"x": {"$exists": True}}), 0)
        self.assertEqual(made.search(query="boat", mode="lexical"), [])
        with self.refused(404, "no point b"):
            made.point("b")

    def test_pages_have_every_point_once_in_order_of_id(self) -> None:
        made, points = self.filled()
        whole = sorted((point["id"] for point in points), key=str.encode)
        for limit in (7, 100, 1000):
            self.assertEqual([point["id"] for point in made.scroll(limit=limit)], whole)
        self.assertIsNone(made.page(limit=300)["next"])
        condition = {"tags": "a"}
        found = [point["id"] for point in made.scroll(limit=9, filter=condition)]
        self.assertEqual(found, [point for point in whole if self.is_in(point, condition)])
        # After an id that is not there.
        self.assertEqual([point["id"] for point in made.page(after="0100x", limit=5)["points"]], [point for point in whole if point > "0100x"][:5])
        by_id = {point["id"]: point for point in points}
        for point in made.page(limit=20)["points"]:
            self.assertEqual(point["payload"], by_id[point["id"]]["payload"])
            self.assertEqual(point["text"], by_id[point["id"]]["text"])

    def is_in(self, point: str, condition: dict) -> bool:
        found = next(one for one in self.points if one["id"] == point)
        return oracle.matches(condition, found["payload"], frozenset(["at"]))

    def test_deletes_count_what_was_there(self) -> None:
        made = self.backend.collection()
        points = points_of(60, 4)
        made.upsert(points)
        ids = [point["id"] for point in points[:5]]
        self.assertEqual(made.delete(ids=[*ids, "not there", ids[0]]), 5)
        self.assertEqual(made.delete(ids=ids), 0)
        left = points[5:]
        condition = {"$or": [{"city": "Bern"}, {"sizes": {"$gt": 2}}]}
        gone = [point["id"] for point in left if oracle.matches(condition, point["payload"])]
        self.assertEqual(made.delete(filter=condition), len(gone))
        self.assertEqual(made.delete(filter=condition), 0)
        self.assertEqual(made.count(), len(left) - len(gone))
        self.assertEqual({point["id"] for point in made.scroll()}, {point["id"] for point in left} - set(gone))
        for hit in made.search(vector=points[0]["vector"], k=100):
            self.assertNotIn(hit["id"], [*ids, *gone])
        with self.refused(400):
            made.delete(ids=["a"], filter={"a": 1})

    # Filters.

    def compare_filter(self, made, condition: dict, refuses: tuple = ()) -> None:
        expected = {point["id"] for point in self.points if self.is_in(point["id"], condition)}
        try:
            self.assertEqual(made.count(filter=condition), len(expected), condition)
        except Failed as failed:
            if failed.status not in refuses or "cannot do this" not in failed.message:
                raise
            # Refused by all or by none.
            for ask in (made.page, lambda **body: made.search(vector=[1.0] * DIM, **body), made.delete):
                with self.refused(failed.status):
                    ask(filter=condition)
            self.told_refused.append(condition)
            return
        self.assertEqual({point["id"] for point in made.scroll(filter=condition, limit=1000)}, expected, condition)
        hits = made.search(vector=[1.0] * DIM, filter=condition, k=300, exact=True)
        self.assertEqual({hit["id"] for hit in hits}, expected, condition)

    def test_every_operator_matches_what_it_says(self) -> None:
        made, _ = self.filled()
        for condition in FILTERS:
            with self.subTest(condition=condition):
                self.compare_filter(made, condition)

    def test_orders_of_strings_and_of_great_numbers_are_exact_or_refused(self) -> None:
        made, _ = self.filled()
        self.told_refused = []
        for condition in STRING_ORDERS:
            with self.subTest(condition=condition):
                self.compare_filter(made, condition, self.backend.refuses)
        if self.told_refused:
            print(f"{self.backend.name} refuses {json.dumps(self.told_refused)}")

    def test_any_filter_matches_what_it_says(self) -> None:
        made, _ = self.filled()
        dice = random.Random(5)
        for _ in range(60):
            condition = any_filter(dice, 2)
            with self.subTest(condition=condition):
                self.compare_filter(made, condition)

    def test_a_field_is_indexed_and_no_more_without_changing_answers(self) -> None:
        made = self.backend.collection()
        points = points_of(80, 6)
        made.upsert(points)
        condition = {"at": {"$gte": "2026-03-01T00:00:00Z", "$lt": 1772323201}}
        both = {"$or": [{"year": {"$lte": 2021}}, {"price": 2}, {"on": True}, {"city": "Bern"}]}
        dated = lambda names: sum(oracle.matches(condition, point["payload"], frozenset(names)) for point in points)
        expected = sum(oracle.matches(both, point["payload"]) for point in points)
        for path, kind in {"year": "integer", "price": "float", "on": "bool", "city": "keyword", "at": "datetime"}.items():
            info = self.backend.server.ask("PUT", f"{made.path}/index", {"field_name": path, "field_schema": kind})
            self.assertEqual(info["fields"][path], kind)
            self.assertEqual(made.count(filter=both), expected)
        self.assertEqual(made.count(filter=condition), dated(["at"]))
        made.upsert(points)
        self.assertEqual(made.count(filter=condition), dated(["at"]))
        self.backend.server.ask("DELETE", f"{made.path}/index/year")
        self.assertNotIn("year", made.describe()["fields"])
        self.assertEqual(made.count(filter=both), expected)
        with self.refused(404):
            self.backend.server.ask("DELETE", f"{made.path}/index/year")

    # Search.

    def test_dense_hits_are_the_nearest_with_their_scores(self) -> None:
        dice = random.Random(7)
        for metric in ("cosine", "dot", "l2"):
            made = self.backend.collection(metric=metric)
            points = points_of(200, 8)
            made.upsert(points)
            for _ in range(5):
                query = [oracle.f32(dice.uniform(-1, 1)) for _ in range(DIM)]
                scores = {point["id"]: oracle.score(metric, query, point["vector"]) for point in points}
                self.near(made.search(vector=query, k=10, exact=True), oracle.ranked(scores)[:10])
                wanted = {point for point, _ in oracle.ranked(scores)[:10]}
                found = {hit["id"] for hit in made.search(vector=query, k=10)}
                self.assertGreaterEqual(len(found & wanted), 9, metric)
            self.assertEqual(len(made.search(vector=query, k=1000)), 200)

    def test_equal_scores_are_in_order_of_id(self) -> None:
        made = self.backend.collection(metric="dot")
        ids = [f"{n:02}" for n in range(30)]
        made.upsert([{"id": point, "vector": [1.0] * DIM, "text": "boat"} for point in reversed(ids)])
        self.assertEqual([hit["id"] for hit in made.search(vector=[1.0] * DIM, k=30)], ids)
        self.assertEqual([hit["id"] for hit in made.search(query="boat", mode="lexical", k=30)], ids)

    def test_a_hit_carries_what_is_asked_for(self) -> None:
        made, points = self.filled()
        hit = made.search(vector=points[0]["vector"], k=1)[0]
        self.assertEqual(hit["id"], points[0]["id"])
        self.assertEqual([hit["text"], hit["payload"]], [points[0]["text"], points[0]["payload"]])
        self.assertNotIn("vector", hit)
        hit = made.search(vector=points[0]["vector"], k=1, **{"with": ["vector"]})[0]
        self.assertEqual(set(hit), {"id", "score", "vector"})
        self.assertEqual(hit["vector"], made.point(points[0]["id"])["vector"])

    def test_lexical_scores_are_bm25(self) -> None:
        made, points = self.filled()
        texts = {point["id"]: point["text"] for point in points}
        for query in ("boat", "mast keel helm", "buoy zebra", "rope rope"):
            expected = oracle.ranked(oracle.bm25(texts, query, self.backend.average))
            self.near(made.search(query=query, mode="lexical", k=25), expected[:25])
        self.assertEqual(made.search(query="zebra", mode="lexical"), [])
        self.assertEqual(made.search(query="the of and", mode="lexical"), [])
        condition = {"city": "Bern"}
        found = made.search(query="boat", mode="lexical", k=300, filter=condition)
        scores = oracle.bm25(texts, "boat", self.backend.average)
        self.near(found, [pair for pair in oracle.ranked(scores) if self.is_in(pair[0], condition)])

    def test_words_are_lowered_and_stemmed(self) -> None:
        made = self.backend.collection()
        made.upsert([{"id": "a", "vector": [1.0] * DIM, "text": "The Runner's boats were RUNNING"}, {"id": "b", "vector": [1.0] * DIM, "text": "ships"}])
        for query in ("boat", "run", "Boating", "runs BOAT"):
            self.assertEqual([hit["id"] for hit in made.search(query=query, mode="lexical")], ["a"], query)
        made.delete(ids=["a"])
        self.assertEqual(made.search(query="boat", mode="lexical"), [])

    def lists(self, points: list, query: list, text: str) -> tuple:
        dense = oracle.ranked({point["id"]: oracle.score("cosine", query, point["vector"]) for point in points})
        texts = {point["id"]: point["text"] for point in points}
        return dense, oracle.ranked(oracle.bm25(texts, text, self.backend.average))

    def test_hybrid_fuses_both_lists(self) -> None:
        made = self.backend.collection(metric="cosine")
        # Fewer than a list brings into a fusion, so that each list is whole.
        points = points_of(60, 9)
        made.upsert(points)
        query, text = points[3]["vector"], "boat anchor"
        dense, lexical = self.lists(points, query, text)
        ask = lambda **body: made.search(vector=query, query=text, mode="hybrid", k=20, exact=True, **body)
        self.near(ask(), oracle.ranked(oracle.rrf([dense, lexical], 60))[:20])
        self.near(ask(fusion={"method": "rrf", "k": 1}), oracle.ranked(oracle.rrf([dense, lexical], 1))[:20])
        for weight in (0.0, 0.3, 1.0):
            expected = oracle.ranked(oracle.weighted(dense, lexical, weight))[:20]
            self.near(ask(fusion={"method": "weighted", "dense_weight": weight}), expected)
        found = ask(min_score=0.6)
        self.near(found, [pair for pair in oracle.ranked(oracle.rrf([dense, lexical], 60)) if pair[1] >= 0.6][:20])

    def test_hits_that_score_too_little_are_left_out(self) -> None:
        made, points = self.filled()
        query = points[1]["vector"]
        scores = oracle.ranked({point["id"]: oracle.score("cosine", query, point["vector"]) for point in points})
        self.near(made.search(vector=query, k=300, min_score=0.4, exact=True), [pair for pair in scores if pair[1] >= 0.4])

    def test_mmr_chooses_hits_that_differ(self) -> None:
        made, points = self.filled()
        query = points[2]["vector"]
        vectors = {point["id"]: point["vector"] for point in points}
        scores = oracle.ranked({point: oracle.score("cosine", query, vector) for point, vector in vectors.items()})
        for lam in (0.0, 0.5, 1.0):
            found = made.search(vector=query, k=10, exact=True, mmr={"lambda": lam, "candidates": 40})
            expected = oracle.mmr(scores[:40], vectors, query, lam, 10)
            self.assertEqual([hit["id"] for hit in found], expected)

    def test_hits_are_grouped(self) -> None:
        made, points = self.filled()
        query = points[4]["vector"]
        payloads = {point["id"]: point["payload"] for point in points}
        scores = oracle.ranked({point["id"]: oracle.score("cosine", query, point["vector"]) for point in points})
        for path in ("city", "year", "items.sku"):
            found = made.groups(vector=query, k=4, group_by=path, group_size=3, exact=True)
            expected = oracle.groups(scores, payloads, path, 4, 3)
            self.assertEqual([(group["id"], [hit["id"] for hit in group["hits"]]) for group in found], expected)

    def test_points_are_recommended_by_examples(self) -> None:
        made, points = self.filled()
        unit = lambda vector: [x / oracle.length(vector) for x in vector]
        vectors = {point["id"]: unit(point["vector"]) for point in points}
        positive, negative = [points[5]["id"], points[6]["id"]], [points[7]["id"]]
        mean = lambda ids: [sum(xs) / len(ids) for xs in zip(*(vectors[point] for point in ids))]
        like, unlike = mean(positive), mean(negative)
        query = [2 * a - b for a, b in zip(like, unlike)]
        rest = {point: vector for point, vector in vectors.items() if point not in [*positive, *negative]}
        expected = oracle.ranked({point: oracle.score("cosine", query, vector) for point, vector in rest.items()})
        found = made.recommend(positive=positive, negative=negative, k=10, exact=True)
        self.near(found, expected[:10])
        squashed = lambda x: 0.5 * (x / (1 + abs(x)) + 1)

        def best(vector: list) -> float:
            good = max(oracle.dot(vectors[point], vector) for point in positive)
            bad = max(oracle.dot(vectors[point], vector) for point in negative)
            return -squashed(bad) if bad >= good else squashed(good)

        expected = oracle.ranked({point: best(vector) for point, vector in rest.items()})
        try:
            found = made.recommend(positive=positive, negative=negative, k=10, strategy="best_score")
        except Failed as failed:
            self.assertIn(failed.status, self.backend.refuses)
            self.assertIn("cannot do this", failed.message)
        else:
            self.near(found, expected[:10])
        with self.refused(400, "no point nobody"):
            made.recommend(positive=["nobody"])

    def test_searches_of_a_batch_answer_as_alone(self) -> None:
        made, points = self.filled()
        searches = [{"vector": points[8]["vector"], "k": 3}, {"query": "boat", "mode": "lexical", "k": 3}, {"vector": [1.0]}]
        found = self.backend.server.ask("POST", f"{made.path}/search/batch", {"searches": searches})["results"]
        self.assertEqual([one.get("hits") for one in found[:2]], [made.search(**search) for search in searches[:2]])
        self.assertIn("wrong dimension", json.dumps(found[2]))

    # Who may see what.

    def test_a_role_sees_its_own_points_and_those_of_nobody(self) -> None:
        made = self.backend.collection(role_field="who")
        points = points_of(120, 10)
        made.upsert(points)
        query = points[0]["vector"]
        with self.refused(400, "role"):
            made.search(vector=query)
        for role in WHO:
            own = lambda point: role in as_list(point["payload"].get("who", role))
            expected = {point["id"] for point in points if own(point)}
            for found in (
                {hit["id"] for hit in made.search(vector=query, k=200, role=role, exact=True)},
                {point["id"] for point in made.scroll(role=role)},
            ):
                self.assertEqual(found, expected)
            self.assertEqual(made.count(role=role), len(expected))
            both = {point["id"] for point in points if own(point) and oracle.matches({"on": True}, point["payload"])}
            self.assertEqual({hit["id"] for hit in made.search(query="boat mast keel " + " ".join(WORDS), mode="lexical", k=200, role=role, filter={"on": True})}, both)
        self.assertEqual(made.count(), 120)
        other = next(point["id"] for point in points if point["payload"].get("who") == "bob")
        with self.refused(400, f"no point {other}"):
            made.recommend(positive=[other], role="ann")
        plain = self.backend.collection()
        with self.refused(400, "role"):
            plain.count(role="ann")

    def test_what_has_expired_is_not_there(self) -> None:
        made = self.backend.collection(ttl_field="until")
        vector = [1.0] * DIM
        untils = {"past": "2020-01-01", "gone": 1000, "far": "2200-01-01T00:00:00Z", "never": None, "both": ["2020-01-01", "2200-01-01"], "odd": "soon", "late": 9e10}
        made.upsert([{"id": point, "vector": vector, "text": "boat", "payload": {"until": until}} for point, until in untils.items()] + [{"id": "none", "vector": vector, "text": "boat"}])
        alive = ["far", "late", "never", "none", "odd"]
        self.assertEqual([point["id"] for point in made.scroll()], alive)
        self.assertEqual(sorted(hit["id"] for hit in made.search(vector=vector)), alive)
        self.assertEqual(sorted(hit["id"] for hit in made.search(query="boat", mode="lexical")), alive)
        self.assertEqual(made.count(), 5)
        with self.refused(404):
            made.point("past")
        self.assertEqual(made.delete(filter={"until": {"$exists": True}}), 4)
        # It expires while it is there.
        made.upsert([{"id": "soon", "vector": vector, "payload": {"until": time.time() + 1.5}}])
        ended = time.monotonic() + 60
        while made.count() > 1 and time.monotonic() < ended:
            pass
        self.assertEqual([point["id"] for point in made.scroll()], ["none"])

    # What is refused.

    def test_bad_input_is_refused_alike(self) -> None:
        made = self.backend.collection()
        good = {"id": "a", "vector": [1.0] * DIM}
        bad = [
            {"id": "a", "vector": [1.0]},
            {"id": "", "vector": [1.0] * DIM},
            {"id": "a\u0000", "vector": [1.0] * DIM},
            {"id": "x" * 513, "vector": [1.0] * DIM},
            {"id": "a", "vector": [0.0] * DIM},
            {"id": "a", "vector": [1e39] * DIM},
            {"id": "a"},
            {"id": "a", "text": "no embedder"},
        ]
        for point in bad:
            with self.subTest(point=point), self.refused(400):
                made.upsert([good, point])
        with self.refused(400):
            made.upsert([])
        # All or none.
        self.assertEqual(made.count(), 0)
        made.upsert([good])
        vector = good["vector"]
        for search in (
            {"vector": [1.0]},
            {"vector": vector, "k": 0},
            {"vector": vector, "k": 1001},
            {"vector": [0.0] * DIM},
            {"vector": vector, "filter": {"a": {"$regex": "x"}}},
            {"vector": vector, "filter": {}},
            {"vector": vector, "mode": "lexical"},
            {"vector": vector, "mmr": {"lambda": 2}},
            {"vector": vector, "group_by": "a", "group_size": 0},
            {"query": " ", "mode": "lexical"},
            {"query": "boat"},
            {"vector": vector, "fusion": {"method": "rrf", "k": 0}},
        ):
            with self.subTest(search=search), self.refused(400):
                made.search(**search)
        with self.refused(400):
            made.page(limit=0)
        with self.refused(400):
            self.backend.server.ask("PUT", "/v1/collections/bad name".replace(" ", "%20"), made.body)
        with self.refused(413):
            made.upsert([{"id": "a", "vector": vector, "text": "x" * 1_100_000}])

    # Many at once.

    def test_writers_at_the_same_time_lose_nothing(self) -> None:
        made = self.backend.collection(metric="dot")
        errors = []

        def write(worker: int) -> None:
            try:
                for n in range(10):
                    batch = [{"id": f"{worker}-{n}-{at}", "vector": [float(worker)] * DIM, "payload": {"w": worker}} for at in range(5)]
                    batch.append({"id": f"shared-{n}", "vector": [float(worker)] * DIM, "payload": {"w": worker}})
                    made.upsert(batch)
                    if n % 2:
                        made.delete(ids=[f"{worker}-{n}-0"])
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(made.count(), 8 * 45 + 10)
        self.assertEqual(sum(made.count(filter={"w": worker}) for worker in range(8)), 8 * 45 + 10)
        for n in range(10):
            point = made.point(f"shared-{n}")
            self.assertEqual(point["vector"], [float(point["payload"]["w"])] * DIM)

    def test_a_great_batch_is_written_whole(self) -> None:
        made = self.backend.collection(dim=64)
        points = [{"id": f"{n}", "vector": [float(n % 7 + 1)] * 63 + [float(n)], "text": f"boat {n}", "payload": {"n": n}} for n in range(5000)]
        self.assertEqual(made.upsert(points), 5000)
        self.assertEqual(made.count(), 5000)
        self.assertEqual(made.count(filter={"n": {"$gte": 1000, "$lt": 3000}}), 2000)
        self.assertEqual(len({point["id"] for point in made.scroll(limit=1000)}), 5000)
        self.assertEqual([hit["id"] for hit in made.search(query="4321", mode="lexical")], ["4321"])

    def test_texts_are_embedded(self) -> None:
        made = self.backend.collection(embedder="static-minilm", dim=256)
        made.upsert([{"id": "a", "text": "The ferry to the island leaves at nine."}, {"id": "b", "text": "Bread is baked with flour."}])
        self.assertEqual(len(made.point("a")["vector"]), 256)
        self.assertEqual(made.search(query="when does the boat sail?")[0]["id"], "a")
        self.assertEqual(made.search(query="recipe for a loaf", mode="dense", k=1)[0]["id"], "b")

    def test_collections_are_there_after_a_restart(self) -> None:
        made = self.backend.collection(metric="l2", fields={"year": "integer"}, role_field="who", role_required=False)
        points = points_of(50, 11)
        made.upsert(points)
        before = made.describe()
        hits = made.search(vector=points[0]["vector"], k=5)
        self.backend.server.restart()
        after = made.describe()
        for key in ("name", "dim", "metric", "fields", "role_field", "created_ms"):
            self.assertEqual(after.get(key), before.get(key))
        self.assertEqual(made.count(), 50)
        self.assertEqual(made.search(vector=points[0]["vector"], k=5), hits)
        self.assertEqual(made.upsert(points[:3]), 3)


def as_list(value) -> list:
    return value if isinstance(value, list) else [value]


def sorted_json(value) -> str:
    return json.dumps(value, sort_keys=True)
