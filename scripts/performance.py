"""Write docs/reference/performance.md: what every benchmark prints, in one go on one machine.

python scripts/performance.py          (some ten minutes, half of them for memory)

Every row that matters is a ratio within one run, or a figure beside its goal; absolute times are this machine's.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "performance.md"
BENCHMARKS = {
    "Plan and settle": ("bench_plan.py", "What ctxkit adds to a request, and what importing it costs."),
    "Counting": ("bench_count.py", "Tokens of a history seen for the first time, and of one that is remembered."),
    "Streams": ("bench_stream.py", "Reading an answer as it passes, per event."),
    "Ledger and report": ("bench_ledger.py", "Records kept and read, a report over a million of them."),
    "Prices": ("bench_prices.py", "A price resolved once and charged by integers."),
    "Memory": ("bench_memory.py", "Resident memory over 30,000 requests, nearly all of them first ones of a tenant."),
}
HEAD = """# Performance

Written by `python scripts/performance.py`, which runs every file of `tests/benchmarks/`. Ratios are within one run on one
machine and are what to look at; absolute times belong to the machine: {machine}, Python {python}, {date}.

Nothing here is asserted in the tests: a busy machine must not fail a build.
"""


def machine() -> str:
    """Cores and processor, as far as the system says."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def section(title: str, file: str, about: str) -> str:
    """One benchmark: its command and what it printed."""
    command = [sys.executable, str(ROOT / "tests" / "benchmarks" / file)]
    printed = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ).stdout
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return f"## {title}\n\n{about} `python tests/benchmarks/{file}`\n\n```text\n{lines}\n```\n"


def main() -> None:
    """Run everything and write the page."""
    head = HEAD.format(machine=machine(), python=platform.python_version(), date=datetime.now(UTC).date())
    sections = [section(title, file, about) for title, (file, about) in BENCHMARKS.items()]
    PAGE.write_text("\n".join([head, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main()
