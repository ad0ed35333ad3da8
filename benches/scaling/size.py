#!/usr/bin/env python3
"""Cores, memory, disk and dollars a month for so many points and requests a second: the arithmetic of docs/SCALING.md, for figures of your own.

  benches/scaling/size.py --points 10e6 --rate 1000
  benches/scaling/size.py --table                     the tables of docs/SCALING.md

Figures of one core are those that benches/scaling/run.py measured; what is assumed is an option. Nothing is measured here.
"""

import argparse
import math

# Microseconds of a core for a request: benches/scaling/run.py.
US = {"known": 10.1, "new": 28.7, "chat": 59.5, "validate": 56.4}
# Of a hybrid search by points; past the last it grows as between the last two.
SEARCH_US = {25_000: 181.3, 100_000: 253.8, 1_000_000: 593.9}
# Of a hybrid search that the engine behind makes: mostly reading both lists of candidates, texts and payloads included. And of nginx for a request.
REPLICA_SEARCH_US, NGINX_US = 1729.0, 29.4
# Bytes of evidence for a request.
EVIDENCE = {"search": 970, "chat": 1011, "validate": 565}
# Bytes of memory for a point of 256 numbers with a text of 8 to 20 words, in a collection of so many, and of disk.
POINT_BYTES = {25_000: 4731, 100_000: 3747, 1_000_000: 2324}
DISK_BYTES = 1156
# Of memory in Qdrant, with text, words and what filters go by, all of it resident; Qdrant's rule counts 4 x 1.5 for a number of the vector alone.
ENGINE_POINT_BYTES = 5395
IDLE_GB = 0.06
# Records a second that one thread materializes: docs/COMPARISON.md.
MATERIALIZED = 2_959_627 / 60
MAX_POINTS = 5_000_000
HOURS = 730


def between(known: dict, points: float, grows: bool) -> float:
    """By the power between the two nearest that are known; before the first, and past the last unless it `grows`, as it is there."""
    sizes = sorted(known)
    if points <= sizes[0]:
        return known[sizes[0]]
    if points >= sizes[-1] and not grows:
        return known[sizes[-1]]
    high = next((size for size in sizes[1:] if size >= points), sizes[-1])
    low = sizes[sizes.index(high) - 1]
    power = math.log(known[high] / known[low]) / math.log(high / low)
    return known[low] * (points / low) ** power


class Plan:
    def __init__(self, points: float, rate: float, given: argparse.Namespace) -> None:
        share = {name: part / sum(given.mix.values()) for name, part in given.mix.items()}
        self.points, self.rate, self.given = points, rate, given
        cores = lambda us: rate * us / 1e6 / given.busy
        own_point = between(POINT_BYTES, points, False) + 5 * (given.dim - 256)
        self.own_gb = IDLE_GB + points * own_point / 1e9
        besides = sum(share.get(name, 0) * us for name, us in US.items())
        searches = share.get("search", 0)
        self.one_cores = cores(besides + searches * between(SEARCH_US, points, True))
        # One host keeps the index as long as it holds it and answers for it.
        self.one = points <= MAX_POINTS and self.own_gb <= 0.8 * given.host_gb and self.one_cores <= given.host_cores
        if self.one:
            self.cores, self.hosts, self.gb = self.one_cores, 1, self.own_gb
            self.nginx = self.engine_cores = self.engine_gb = self.engine_least_gb = self.engine_disk_gb = 0.0
            self.disk_gb = points * DISK_BYTES * 2.5 / 1e9
            self.shards = 0
        else:
            self.cores = cores(besides + searches * REPLICA_SEARCH_US)
            self.nginx = cores(NGINX_US)
            # One more than are needed, so that one may be gone; three at least.
            self.hosts = max(3, math.ceil(self.cores / given.host_cores) + 1)
            self.gb, self.disk_gb = self.hosts * 1.0, 0.0
            self.shards = math.ceil(points / given.shard_points)
            # Each search asks every shard once, of one of its copies.
            self.engine_cores = rate * searches * self.shards / given.engine_searches / given.busy
            vector = given.dim * (1 if given.quantised else 4) * 1.5
            beside = ENGINE_POINT_BYTES - 256 * 4 * 1.5
            self.engine_least_gb = points * vector * given.copies / 1e9
            self.engine_gb = points * (vector + beside) * given.copies / 1e9
            self.engine_disk_gb = points * (given.dim * 4 * 1.5 + DISK_BYTES) * given.copies / 1e9
        self.records = rate * sum(share.get(name, 0) for name in EVIDENCE)
        self.evidence_gb_day = rate * sum(share.get(name, 0) * size for name, size in EVIDENCE.items()) * 86400 / 1e9
        self.materialize_cores = self.records / MATERIALIZED
        self.local_gb = self.evidence_gb_day * given.local_days
        self.bucket_gb = self.evidence_gb_day * given.bucket_days * given.bucket_ratio

    def dollars(self) -> dict:
        given = self.given
        compute = lambda cores, gb: HOURS * (cores * given.core_hour + gb * given.gb_hour)
        whole = lambda cores: math.ceil(cores)
        return {
            "serving": compute(whole(self.cores) if self.one else self.hosts * min(given.host_cores, max(2, math.ceil(self.cores / (self.hosts - 1)))), self.gb),
            "nginx": compute(2 * max(1, whole(self.nginx / 2)), 2) if not self.one else 0,
            "engine": compute(max(whole(self.engine_cores), 2 * given.copies), self.engine_gb) + self.engine_disk_gb * given.disk_gb_month if not self.one else 0,
            "evidence": (self.local_gb + self.disk_gb) * given.disk_gb_month + self.bucket_gb * given.bucket_gb_month + compute(self.materialize_cores, 0),
        }


def amount(number: float) -> str:
    for unit, size in (("TB", 1000), ("GB", 1)):
        if number >= size:
            return f"{number / size:,.3g} {unit}"
    return f"{number * 1000:,.0f} MB"


def count(number: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:,.3g}{unit}"
    return f"{number:,.0f}"


def tell(plan: Plan) -> None:
    money = plan.dollars()
    print(f"{count(plan.points)} points, {count(plan.rate)} requests/s: " + ("one host keeps the index" if plan.one else "an engine keeps the index"))
    print(f"  serving   {plan.cores:8.1f} cores, {plan.hosts} host(s), {amount(plan.gb)} of memory")
    if not plan.one:
        print(f"  nginx     {plan.nginx:8.1f} cores")
        print(f"  engine    {plan.engine_cores:8.1f} cores, {plan.shards} shard(s), {amount(plan.engine_least_gb)} (vectors) to {amount(plan.engine_gb)} (all) of memory, {amount(plan.engine_disk_gb)} of disk, copies counted")
    print(f"  evidence  {plan.materialize_cores:8.1f} cores to materialize {plan.records:,.0f} records/s, {amount(plan.evidence_gb_day)} a day")
    print("  a month   " + ", ".join(f"{name} {dollars:,.0f}" for name, dollars in money.items() if dollars) + f": ${sum(money.values()):,.0f}")


def table(given: argparse.Namespace) -> None:
    print("| points | requests/s | index | serving cores, hosts | nginx cores | engine: cores, memory, shards | evidence a day | $ a month, of which the engine |\n|---|---|---|---|---|---|---|---|")
    for points in (1e5, 1e6, 1e7, 1e8, 1e9):
        for rate in (1e3, 1e4, 1e5):
            plan = Plan(points, rate, given)
            money = plan.dollars()
            engine = "-" if plan.one else f"{plan.engine_cores:,.1f}, {amount(plan.engine_least_gb)} to {amount(plan.engine_gb)}, {plan.shards}"
            where = f"this process, {amount(plan.own_gb)}" if plan.one else "engine"
            nginx = "-" if plan.one else f"{plan.nginx:.1f}"
            print(f"| {count(points)} | {count(rate)} | {where} | {plan.cores:.1f}, {plan.hosts} | {nginx} | {engine} | {amount(plan.evidence_gb_day)} | {sum(money.values()):,.0f}, {money['engine']:,.0f} |")


def mix(text: str) -> dict:
    found = {name: float(part) for name, part in (one.split("=") for one in text.split(","))}
    unknown = set(found) - {*US, "search"}
    if unknown:
        raise argparse.ArgumentTypeError(f"no request is called {', '.join(unknown)}; there are {', '.join([*US, 'search'])}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=float, default=1e6)
    parser.add_argument("--rate", type=float, default=1000, help="requests a second")
    parser.add_argument("--mix", type=mix, default=mix("known=40,new=10,search=30,chat=15,validate=5"), help="parts of the requests: embeddings of known and of new texts, searches, chats, validations")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--busy", type=float, default=0.6, help="share of a core that is used")
    parser.add_argument("--host-cores", type=int, default=8)
    parser.add_argument("--host-gb", type=float, default=32)
    parser.add_argument("--copies", type=int, default=2, help="of each shard in the engine")
    parser.add_argument("--shard-points", type=float, default=20e6)
    parser.add_argument("--engine-searches", type=float, default=1000, help="that a core of the engine answers a second, in one shard: assumed, measure yours")
    parser.add_argument("--quantised", action="store_true", help="the engine holds one byte a number in memory, floats on disk")
    parser.add_argument("--local-days", type=float, default=2, help="of evidence on the replicas' disks")
    parser.add_argument("--bucket-days", type=float, default=90, help="of evidence in object storage")
    parser.add_argument("--bucket-ratio", type=float, default=1.3, help="bytes there, of the journal's: the journal as it is, and Parquet")
    parser.add_argument("--core-hour", type=float, default=0.04, help="dollars")
    parser.add_argument("--gb-hour", type=float, default=0.005)
    parser.add_argument("--disk-gb-month", type=float, default=0.08)
    parser.add_argument("--bucket-gb-month", type=float, default=0.023)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        table(given)
    else:
        tell(Plan(given.points, given.rate, given))


if __name__ == "__main__":
    main()
