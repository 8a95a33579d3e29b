"""Write pages of docs/reference/: api.md from docstrings, commands.md from help, platforms.md and rule sheets from tables.

python -m scripts.reference [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ctxkit.dialects.platforms import PLATFORMS, Platform
from scripts import commands
from scripts.api import listed, page
from scripts.rule_sheets import filled

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
PLATFORM_HEAD = """# Platforms

Written from the table in `ctxkit/dialects/platforms.py` by `python -m scripts.reference`.

A platform is who serves a model. It is told by the host of a request; where the host says nothing (a server of your own,
a gateway), name it: `kit.wrap(client, platform="vllm")`. Prices go by it, and so does the meaning of the usage that an
OpenAI-shaped server reports. What is in no row is read by the generic rule and shown as `unknown`.

| platform | hosts | how its usage is read |
|---|---|---|
"""


def platforms() -> str:
    """The table of platforms."""
    rows = [f"| `{each.name}` | {listed(each.hosts) or 'named by you'} | {rule(each)} |" for each in PLATFORMS]
    return PLATFORM_HEAD + "\n".join(rows) + "\n"


def rule(platform: Platform) -> str:
    """The reading rule in words."""
    known = platform.rule
    said = ["cache writes are never billed" if known.writes is None else f"cache writes live {known.writes}"]
    said += ["reasoning stands outside the completion tokens"] * known.reasoning_outside
    said += ["what the total has over its parts is reasoning"] * known.hidden_reasoning
    said += ["0 prompt tokens mean not counted"] * known.zero_prompt_unknown
    said += ["its own cost wins"] * known.ticks
    return "; ".join(said)


def main() -> int:
    """Write the pages, or say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a page is out of date")
    check = parser.parse_args().check
    stale = 0
    sheets = {f"providers/{file.name}": filled(file) for file in sorted((FOLDER / "providers").glob("*.md"))}
    for name, text in {"api.md": page(), "commands.md": commands.page(), "platforms.md": platforms(), **sheets}.items():
        file = FOLDER / name
        if check and (not file.is_file() or file.read_text(encoding="utf-8") != text):
            print(f"{file} is out of date: python -m scripts.reference")
            stale = 1
        elif not check:
            file.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
