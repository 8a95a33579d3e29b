"""``ctxkit doctor``: what is installed, readable, writable and stale, and what to do about it.

Nothing is sent anywhere and nothing is made: a ledger or a store that is not there yet is no fault.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ctxkit.errors import CtxkitError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterable, Iterator

    from ctxkit.policy import Policy

__all__ = ["Check", "add_parser", "examine", "run"]

_CORE = ("tiktoken", "pydantic", "diskcache", "genai-prices", "orjson", "rich")
_DOORS = {
    "openai": "wrap(OpenAI()), its async and Azure kin: HTTP event hooks",
    "anthropic": "wrap(Anthropic()), its async, Bedrock and Vertex kin: the SDK's own middleware",
    "google-genai": "wrap(genai.Client()): HTTP event hooks, sync and async",
    "boto3": 'wrap(boto3.client("bedrock-runtime")): boto3 events',
    "litellm": "wrap(litellm.completion), wrap(litellm.acompletion): wrapped functions",
}
_SEALING = "pip install 'ctxkit[encryption]'"
_OLD_DAYS, _STALE_DAYS = 60, 180
_MARKS = {"ok": "ok  ", "note": "note", "problem": "FAIL"}
_COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        about: what: ``"sdk"``, ``"vocabulary"``, ``"prices"``, ``"settings"``, ``"ledger"``, ``"store"``, ...
        name: which one.
        state: ``"ok"``, ``"note"`` (good to know) or ``"problem"`` (something will not work as it should).
        found: what was found.
        do: what to do about it.
    """

    about: str
    name: str
    state: Literal["ok", "note", "problem"]
    found: str
    do: str = ""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="what is installed, readable, writable and stale",
        description="Looks at what ctxkit needs and says what to do where something is missing. Sends nothing.",
        epilog="example: ctxkit doctor --json",
    )
    parser.add_argument(
        "--ledger", metavar="PATH", type=Path, help="default: $CTXKIT_HOME/ledger.db, or ~/.ctxkit/ledger.db"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print what was found; 0, or 1 when there is a problem."""
    checks = list(examine(now=time.time(), ledger=args.ledger))
    problems = sum(check.state == "problem" for check in checks)
    if args.json:
        print(json.dumps({"problems": problems, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _print(checks, problems)
    return 1 if problems else 0


def examine(*, now: float, ledger: Path | None = None) -> Iterator[Check]:
    """Look at everything, most general first.

    Args:
        now: unix time, for the age of prices.
        ledger: the ledger to look at; default: the one in the home folder.
    """
    from ctxkit.defaults import home

    yield Check("python", platform.python_implementation(), "ok", f"{platform.python_version()} on {platform.system()}")
    yield from _packages()
    yield from _sdks()
    yield from _vocabularies()
    yield from _list_of_prices(now)
    policy = yield from _settings()
    yield from _own_prices(policy)
    yield _semantic(policy)
    folder = home()
    yield from _folder("home", folder)
    yield from _ledger(ledger or folder / "ledger.db")
    if ledger is not None:
        yield from _exposed("ledger", ledger.expanduser())
    yield from _folder("store", folder / "store")
    yield from _answers(policy, folder / "store" / "answers")


def _packages() -> Iterator[Check]:
    for name in ("ctxkit", *_CORE):
        found = _version(name)
        if found is None:
            yield Check("package", name, "problem", "not installed", "pip install --force-reinstall ctxkit")
        else:
            yield Check("package", name, "ok", found)


def _sdks() -> Iterator[Check]:
    found = {name: _version(name) for name in _DOORS}
    if not any(found.values()):
        do = "pip install 'ctxkit[openai]' (or anthropic, google, bedrock, litellm); kit.plan and kit.settle need none"
        yield Check("sdk", "none", "note", "no SDK that ctxkit has a door for is installed", do)
    for name, installed in found.items():
        if installed is not None:
            least = _least(name)
            if least and _numbers(installed) < _numbers(least):
                yield Check(
                    "sdk", name, "problem", f"{installed} is older than {least}", f"pip install '{name}>={least}'"
                )
            else:
                yield Check("sdk", name, "ok", f"{installed}: {_DOORS[name]}")
    if found["google-genai"] and find_spec("aiohttp"):
        yield Check(
            "sdk",
            "google-genai with aiohttp",
            "note",
            "async calls leave through aiohttp, where nothing can meter them; wrap() refuses such a client",
            "genai.Client(http_options=kit.google_http_options()) keeps both sides on httpx",
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _least(package: str) -> str | None:
    """The oldest version that our own extras ask for."""
    for line in requires("ctxkit") or ():
        requirement = line.partition(";")[0].replace(" ", "")
        if requirement.startswith(f"{package}>="):
            return requirement.removeprefix(f"{package}>=").partition(",")[0]
    return None


def _numbers(text: str) -> tuple[int, ...]:
    leading = [part for part in text.split(".")[:3] if part.isdigit()]
    return tuple(int(part) for part in leading)


def _vocabularies() -> Iterator[Check]:
    from importlib.resources import files

    from ctxkit.metering.vocabularies import VOCABULARIES

    data = files("ctxkit.metering").joinpath("data")
    for file, (names, digest) in _by_file(VOCABULARIES.items()).items():
        try:
            right = hashlib.sha256(data.joinpath(file).read_bytes()).hexdigest() == digest
            found = "intact" if right else "not the file that was built for this version"
        except OSError as error:
            right, found = False, f"cannot be read ({error.strerror})"
        do = "" if right else "pip install --force-reinstall ctxkit; until then OpenAI models are counted by estimate"
        yield Check("vocabulary", ", ".join(names), "ok" if right else "problem", found, do)


def _by_file(vocabularies: Iterable[tuple[str, Any]]) -> dict[str, tuple[list[str], str]]:
    grouped: dict[str, tuple[list[str], str]] = {}
    for name, vocabulary in vocabularies:
        grouped.setdefault(vocabulary.file, ([], vocabulary.sha256))[0].append(name)
    return grouped


def _list_of_prices(now: float) -> Iterator[Check]:
    from ctxkit.metering.prices import BUNDLED, list_state
    from ctxkit.metering.prices.overlay import read_rows

    today = datetime.fromtimestamp(now, UTC).date()
    try:
        installed, newest = list_state(now)
        yield _aged(
            "genai-prices", newest, today, f"{installed}, newest change of a price", "pip install -U genai-prices"
        )
        rows = read_rows(BUNDLED)
        checked = max(date.fromisoformat(row.as_of) for row in rows if row.as_of)
        yield _aged("rows of ctxkit", checked, today, f"{len(rows)} rows, checked", "pip install -U ctxkit")
    except (CtxkitError, ImportError) as error:
        yield Check("prices", "list", "problem", str(error), "pip install --force-reinstall ctxkit")


def _aged(name: str, day: date | None, today: date, what: str, do: str) -> Check:
    days = (today - day).days if day else _STALE_DAYS + 1
    state: Literal["ok", "note", "problem"] = (
        "ok" if days <= _OLD_DAYS else "note" if days <= _STALE_DAYS else "problem"
    )
    return Check("prices", name, state, f"{what} {day or 'unknown'}", "" if state == "ok" else do)


def _settings() -> Generator[Check, None, Policy | None]:
    """Whether the policy can be read; gives it back."""
    from ctxkit.policy import Policy

    try:
        policy = Policy.load()
    except CtxkitError as error:
        yield Check(
            "settings", "policy", "problem", str(error), "mend ctxkit.toml, [tool.ctxkit] or the CTXKIT_ variable"
        )
        return None
    yield Check("settings", "policy", "ok", f"mode {policy.mode}")
    return policy


def _own_prices(policy: Policy | None) -> Iterator[Check]:
    from ctxkit.metering.prices import Prices

    if policy is None or policy.prices is None:
        return
    try:
        Prices(policy.prices)
    except CtxkitError as error:
        yield Check("prices", "your own", "problem", str(error), "see docs/how-to/prices.md")
    else:
        yield Check("prices", "your own", "ok", str(policy.prices))


def _semantic(policy: Policy | None) -> Check:
    """What the extra adds, and whether it is there."""
    from ctxkit.hygiene.embedding import AUTO, ENGLISH, at_hand, installed

    named = AUTO if policy is None else policy.tidy.relevance
    model = ENGLISH if named in {AUTO, "lexical"} else named
    if not installed():
        adds = "ctxkit[semantic] adds a model that runs here and tells it by meaning, too"
        return Check("relevance", "semantic", "note", f"not installed: words alone tell what is relevant; {adds}")
    if at_hand(model):
        found = f"{model} is at hand: meaning tells what is relevant beside words; it runs here, nothing is sent"
        return Check("relevance", "semantic", "ok", found)
    if named == model:
        found = f"{model} is not at hand: it is downloaded when it is first needed, and words alone decide until then"
    else:
        found = f'installed, no model at hand: words alone tell what is relevant; tidy.relevance = "{ENGLISH}" downloads one'
    return Check("relevance", "semantic", "note", found)


def _folder(name: str, folder: Path) -> Iterator[Check]:
    if not folder.exists():
        parent = next((above for above in folder.parents if above.exists()), Path("/"))
        if os.access(parent, os.W_OK):
            yield Check(name, str(folder), "note", "not there yet; it is made when it is first needed")
        else:
            yield Check(
                name,
                str(folder),
                "problem",
                f"cannot be made: {parent} is not writable",
                "set CTXKIT_HOME to another folder",
            )
        return
    if not folder.is_dir():
        yield Check(
            name, str(folder), "problem", "is not a folder", "move it away, or set CTXKIT_HOME to another folder"
        )
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Check(
            name, str(folder), "problem", "cannot be read and written", f"chmod 700 {folder}, or set CTXKIT_HOME"
        )
    else:
        yield from _private(name, folder)


def _answers(policy: Policy | None, folder: Path) -> Iterator[Check]:
    """Whether requests are answered with what the very same one got before, and who may read that."""
    options = None if policy is None else policy.answers
    if policy is None or options is None:
        return
    found = f"kept for {options.ttl:,.0f} s"
    if options.where == "memory":
        yield Check("answers", "memory", "ok", found)
    elif policy.answers_key is None:
        yield Check("answers", "disk", "note", f"{found}, as plain text", f"{_SEALING}, and set CTXKIT_ANSWERS_KEY")
    elif find_spec("cryptography") is None:
        yield Check("answers", "disk", "problem", "there is a key and nothing to encrypt with", _SEALING)
    else:
        yield Check("answers", "disk", "ok", f"{found}, encrypted")
    if options.where == "disk" and folder.is_dir():
        yield from _folder("answers", folder)


def _private(name: str, folder: Path) -> Iterator[Check]:
    """Whether others may look in: files are 0600 in a 0700 folder."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        yield Check(name, str(folder), "problem", f"others may look into it (mode {mode:04o})", f"chmod 700 {folder}")
    else:
        yield Check(name, str(folder), "ok", f"readable, writable, mode {mode:04o}")
    for file in sorted(folder.iterdir()):
        yield from _exposed(name, file)


def _exposed(name: str, file: Path) -> Iterator[Check]:
    if os.name != "posix" or not file.is_file():
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        yield Check(name, str(file), "problem", f"others may read it (mode {mode:04o})", f"chmod 600 {file}")


def _ledger(path: Path) -> Iterator[Check]:
    from ctxkit.metering.ledger import Ledger

    ledger = Ledger(path)
    name = str(ledger.path)
    try:
        if not ledger.exists():
            yield Check("ledger", name, "note", "not there yet; the first request makes it")
            return
        if ledger.foreign():
            yield Check(
                "ledger", name, "problem", "is not a ctxkit ledger", "move it away, or give the kit another path"
            )
            return
        with ledger:
            state = ledger.state()
    except (CtxkitError, OSError) as error:
        yield Check("ledger", name, "problem", str(error), "free space, mend its permissions, or move it away")
        return
    if state.fault:
        do = "what was written is kept in the journals and taken in later"
        yield Check("ledger", name, "problem", state.fault, do)
    else:
        found = f"schema {state.schema}, readable and writable, {state.backlog:,} bytes to take in"
        yield Check("ledger", name, "ok", found)
    if state.refused:
        yield Check("ledger", name, "note", f"{state.refused:,} lines were torn or damaged and are kept aside")


def _print(checks: list[Check], problems: int) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for check in checks:
        line = Text.assemble(
            (_MARKS[check.state], _COLOURS[check.state]), f"  {check.about:10} {check.name}: {check.found}"
        )
        console.print(line)
        if check.do:
            console.print(Text(f"      -> {check.do}"))
    console.print(Text(f"{problems} problem{'' if problems == 1 else 's'}" if problems else "all is well"))
