"""Write docs/reference/api.md from docstrings, platforms.md and the rule sheets of providers/*.md from their tables.

python -m scripts.reference [--check]
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctxkit
from ctxkit import dialects, testing
from ctxkit.dialects.platforms import PLATFORMS, Platform
from ctxkit.editable import Candidate, Fold, Pending, Piece, Rewrite, Stub, Tally, Tidied
from ctxkit.hygiene.history import History
from ctxkit.hygiene.touches import Touch
from scripts.rule_sheets import filled

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
HEAD = """# Python API

Written from the docstrings by `python -m scripts.reference`. Whatever is not named here is not public and may change.
"""

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


def page() -> str:
    """The names of the package."""
    lines = [HEAD, "## `ctxkit`\n"]
    for name in ctxkit.__all__:
        if not name.startswith("__"):
            lines += entry(f"ctxkit.{name}", getattr(ctxkit, name))
    lines.append("## What passes of your own are given, and give\n")
    for thing in (Piece, History, Rewrite, Stub, Fold, Candidate, Touch, Tidied, Tally, Pending):
        lines += entry(f"{thing.__module__}.{thing.__name__}", thing)
    lines.append("## `ctxkit.testing`\n")
    for name in testing.__all__:
        lines += entry(f"ctxkit.testing.{name}", getattr(testing, name))
    lines += [
        "## Wire formats\n",
        f"Editable: {listed(dialects.EDITABLE)}. Metered only: {listed(dialects.METER_ONLY)}.\n",
    ]
    return "\n".join(lines).rstrip() + "\n"


def listed(names: tuple[str, ...]) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def entry(name: str, thing: Any) -> Iterator[str]:
    """Heading, signature, docstring and public methods of one name."""
    yield f"### `{name}`\n"
    if inspect.isclass(thing) and issubclass(thing, Exception):
        yield f"{inspect.getdoc(thing)}\n"
        return
    yield block(f"{name}{signature(thing)}\n\n{inspect.getdoc(thing) or ''}")
    if inspect.isclass(thing):
        for method, member in inspect.getmembers(thing, callable):
            own = method in vars(thing) and not method.startswith("_") and method != "model_post_init"
            if own and inspect.getdoc(member):
                yield block(f"{thing.__name__}.{method}{signature(member)}\n\n{inspect.getdoc(member)}")
        for option, field in getattr(thing, "model_fields", {}).items():
            yield f"- `{option}`, default `{short(repr(field.default))}`: {field.description}"
        yield ""


def signature(thing: Any) -> str:
    """``(a, b=1)``, or nothing where there is none."""
    try:
        # The address of a default that is a function differs from run to run.
        said = re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", str(inspect.signature(thing)))
        return re.sub(r"ForwardRef\('([^']*)'\)", r"\1", short(said)).replace("'", "")
    except (TypeError, ValueError):
        return ""


def short(text: str) -> str:
    """Without the options of a ``Tidy``, which have an entry of their own."""
    return re.sub(r"Tidy\(compact=.*?recall_ttl=[0-9.]+\)", "Tidy()", text)


def block(text: str) -> str:
    """Text as it stands."""
    return f"```text\n{text.rstrip()}\n```\n"


def main() -> int:
    """Write the pages, or say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a page is out of date")
    check = parser.parse_args().check
    stale = 0
    sheets = {f"providers/{file.name}": filled(file) for file in sorted((FOLDER / "providers").glob("*.md"))}
    for name, text in {"api.md": page(), "platforms.md": platforms(), **sheets}.items():
        file = FOLDER / name
        if check and (not file.is_file() or file.read_text(encoding="utf-8") != text):
            print(f"{file} is out of date: python -m scripts.reference")
            stale = 1
        elif not check:
            file.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
