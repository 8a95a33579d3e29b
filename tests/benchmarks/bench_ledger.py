"""What keeping and reading records costs: against writing the same bytes bare, in one run.

    python tests/benchmarks/bench_ledger.py [--records 100000] [--report 1000000] [--json]

A record is two entries, one when the request leaves and one when it is settled, both made from ``Record`` values.
"kept" is the time until every call has returned: from then on they survive kill -9. "in the database" is the time until
the last one can be queried. A report of a million records takes minutes to set up; ``--report 0`` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from ctxkit.drift import Drift
from ctxkit.metering.ledger import Ledger
from ctxkit.metering.ledger.journal import encode, journals
from ctxkit.metering.ledger.rows import row_of
from ctxkit.metering.prices import Prices, charge
from ctxkit.metering.report import report
from ctxkit.model import CostRange, Estimate, Record, Timing, Usage
from ctxkit.money import usd_of

BEGIN = 1_763_000_000.0 // 86_400 * 86_400
DAYS = 30
FEATURES = [f"product/feature-{n}" for n in range(20)]
MODELS = ["gpt-5.5", "gpt-5-mini", "gpt-5.6", "claude-sonnet-4-6", "gpt-4o"]


PRICES = Prices()


def priced(model: str, at: float, usage: Usage) -> dict[str, Any]:
    """Cost of a usage by the price list, so that a report can say what it was spent on."""
    card = PRICES.card("openai", model, at=at)
    pico = charge(card, usage) if card else None
    if card is None or pico is None:
        return {"cost": None, "card": None}
    return {"cost": usd_of(pico), "card_cost": usd_of(pico), "card": card.id, "cost_source": "card"}


def pair(number: int, at: float, rng: random.Random) -> tuple[Record, Record]:
    """The two entries of one attempt; ten are a thread, a fifth reads nothing from the cache, one in a hundred should have."""
    name = f"{int(at * 1000):012x}{rng.getrandbits(80):020x}"
    read = rng.randrange(40_000) if number % 5 else 0
    usage = Usage(rng.randrange(100, 5_000), read, {"5m": 120} if number % 5 == 2 else {}, rng.randrange(10, 2_000), 0)
    estimate = Estimate(
        int((usage.input_total or 0) * rng.gauss(1, 0.01)), 9_000, 50_000, Usage(usage.fresh, usage.read, None, 300),
        CostRange(Decimal("0.001"), Decimal("0.01"), Decimal("0.1")), "fitted", "o200k",
    )  # fmt: skip
    common = {
        "attempt": name, "operation": name, "number": 1, "created": at, "dialect": "openai.chat", "platform": "openai",
        "model": MODELS[number % 5], "feature": rng.choice(FEATURES), "thread": f"{number // 10:016x}", "estimate": estimate, "stream": True,
    }  # fmt: skip
    first = rng.lognormvariate(-1, 0.6)
    timing = Timing(100.0, 100.0 + first / 2, 100.0 + first, 100.0 + first + rng.lognormvariate(1, 0.6))
    settled = Record(
        status="settled", http_status=200, usage=usage, timing=timing, tier="default",
        response_model=MODELS[number % 5], response_id=f"chatcmpl-{name}", finish="stop",
        miss_reason=None if number % 100 else "ttl_expired", miss_tokens=None if number % 100 else usage.fresh,
        savings=Decimal(rng.randrange(-10**8, 10**9)).scaleb(-12), **priced(MODELS[number % 5], at, usage),
        drift=Drift(rng.random(), usage.fresh or 0, number % 100, Decimal("0.001"), level=("calm", "drifting", "lost")[number % 3]),
        **common,
    )  # fmt: skip
    return Record(status="open", http_status=None, **common), settled


def bare(folder: Path, pairs: list[tuple[Record, Record]]) -> float:
    """Seconds to write the same bytes, one write per entry, with nothing else."""
    lines = [b'{"at":1763000000000000,' + encode(row_of(one))[1:] + b"\n" for both in pairs for one in both]
    file = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    begun = time.perf_counter()
    for line in lines:
        os.write(file, line)
    taken = time.perf_counter() - begun
    os.close(file)
    return taken


def kept(folder: Path, pairs: list[tuple[Record, Record]]) -> tuple[float, float, float]:
    """Seconds until all are kept, seconds until all are in the database, and the slowest thousandth of calls."""
    slowest: list[float] = []
    with Ledger(folder / "ledger.db") as ledger:
        begun = time.perf_counter()
        for opened, settled in pairs:
            before = time.perf_counter()
            ledger.append(opened)
            ledger.append(settled)
            slowest.append(time.perf_counter() - before)
        written = time.perf_counter() - begun
        ledger.flush()
        done = time.perf_counter() - begun
    return written, done, sorted(slowest)[int(len(slowest) * 0.999)]


def to_the_disk(folder: Path, pairs: list[tuple[Record, Record]], threads: int) -> float:
    """Records a second that survive a power cut, by so many threads."""
    with Ledger(folder / f"full{threads}.db", sync="full") as ledger:

        def work(first: int) -> None:
            for opened, settled in pairs[first::threads]:
                ledger.append(opened)
                ledger.append(settled)

        workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return len(pairs) / (time.perf_counter() - begun)


def filled(folder: Path, count: int) -> Ledger:
    """A ledger of thirty days, in which every hour has every feature and model."""
    rng = random.Random(2)
    ledger = Ledger(folder / "month.db")
    for number in range(count):
        ledger.append(pair(number, BEGIN + number * DAYS * 86_400 / count, rng)[1])
    ledger.flush()
    return ledger


def reports(ledger: Ledger) -> dict[str, float]:
    """Seconds for a report, best of three, its figures as JSON included."""
    now = BEGIN + DAYS * 86_400
    asked = {
        "by feature": (("feature",), "UTC", None),
        "by feature and model": (("feature", "model"), "Europe/Berlin", None),
        "by feature, last 7 days": (("feature",), "Europe/Berlin", "7d"),
        "by day, UTC": (("day",), "UTC", None),
        "by day, Europe/Berlin": (("day",), "Europe/Berlin", None),
        "by day, America/Los_Angeles": (("day",), "America/Los_Angeles", None),
        "by day, Asia/Kolkata": (("day",), "Asia/Kolkata", None),
        "by hour": (("hour",), "UTC", None),
    }
    taken = {}
    for name, (by, zone, since) in asked.items():
        rounds = []
        for _ in range(3):
            begun = time.perf_counter()
            report(ledger, by, since, None, zone, now=now).to_dict()
            rounds.append(time.perf_counter() - begun)
        taken[name] = min(rounds)
    return taken


def pages(ledger: Ledger) -> dict[str, float]:
    """Seconds for what stands beside the rows of a report, and for the whole page with it."""
    now = BEGIN + DAYS * 86_400
    taken = {}
    for name, since in (("all of it", None), ("last 7 days", "7d")):
        found = report(ledger, ("feature",), since, None, "UTC", now=now, prices=PRICES)
        begun = time.perf_counter()
        told = found.details() if found.details else None
        taken[f"details, {name}"] = time.perf_counter() - begun
        assert told is not None
        assert sum(part.cost for part in told.parts) == told.cost
        html = found.to_html()
        taken[f"page, {name}"] = time.perf_counter() - begun
        assert len(html) < 2_000_000
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--report", type=int, default=1_000_000, metavar="RECORDS")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = random.Random(1)
        pairs = [pair(number, BEGIN + number / 100, rng) for number in range(args.records)]
        alone = bare(folder, pairs)
        written, done, slow = kept(folder, pairs)
        found |= {
            "records": args.records,
            "kept_per_second": round(args.records / written),
            "kept_against_bare_write": round(written / alone, 2),
            "in_the_database_per_second": round(args.records / done),
            "p999_of_a_record_ms": round(slow * 1000, 3),
            "bytes_per_record": round((folder / "bare").stat().st_size / args.records),
            "full_sync_per_second": {n: round(to_the_disk(folder, pairs[:2_000], n)) for n in (1, 8)},
        }
        if args.report:
            ledger = filled(folder, args.report)
            assert not journals(ledger.folder) or ledger.state().backlog == 0
            found["reports_of"] = args.report
            found["report_seconds"] = {name: round(seconds, 3) for name, seconds in reports(ledger).items()}
            found["page_seconds"] = {name: round(seconds, 2) for name, seconds in pages(ledger).items()}
            found["bytes_on_disk_per_record"] = round(ledger.path.stat().st_size / args.report)
            ledger.close()
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        for label, figure in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"{name.replace('_', ' '):32}{label!s:30}{figure:>14,}")


if __name__ == "__main__":
    main()
