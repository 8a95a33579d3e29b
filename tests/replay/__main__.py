"""Prints what came of replaying everything that was recorded: ``python -m tests.replay [LANE ...]``."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from ctxkit.kit import Kit
from tests.replay.recordings import LANES, exchanges, refusals
from tests.replay.replaying import Tally, replay
from tests.replay.test_replay import failed

DATA = Path(os.environ.get("CTXKIT_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data").resolve()


def main(wanted: list[str]) -> None:
    """Replay lanes (all, when none is named) and the refusals."""
    recorded = exchanges(DATA)
    print({name: len(listed) for name, listed in recorded.items() if name not in LANES}, "not replayed")
    for lane in wanted or LANES:
        _told(lane, lambda kit, lane=lane: replay(lane, recorded[lane], kit), len(recorded[lane]))  # type: ignore[misc]
    for family in () if wanted else ("openai", "anthropic", "gemini", "bedrock"):
        listed = [exchange for exchange in refusals(DATA) if (exchange.dialect or "").startswith(family)]
        _told(f"{family} refusals", lambda kit, f=family, e=listed: replay(f, e, kit, check=failed), len(listed))  # type: ignore[misc]


def _told(name: str, run: object, recorded: int) -> None:
    assert callable(run)
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(store=None, ledger=Path(folder) / "ledger.db", strict=True)
        begun = time.perf_counter()
        tally: Tally = run(kit)
        seconds = time.perf_counter() - begun
        kit.close()
    print(
        f"{name}: recorded {recorded}, replayed {tally.replayed} {dict(tally.ways)}, rows equal {tally.equal}, "
        f"given up by the SDK {tally.given_up}, altered by the SDK {tally.altered}, {seconds:.0f} s"
    )
    for title, counts in (
        ("SDK errors, with and without ctxkit", tally.sdk_errors),
        ("not sent", tally.unsent),
        ("row not comparable", tally.excused),
    ):
        for reason, number in counts.most_common():
            print(f"    {title}: {number} x {reason}")
    for fault, seen in tally.faults.items():
        print(f"    FAULT {fault}: {len(seen)}")
        for one in seen[:5]:
            print(f"        {one}")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
