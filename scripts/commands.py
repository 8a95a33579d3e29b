"""The command line as a page, from its own help. See reference.py, which writes it to docs/reference/commands.md."""

# ruff: noqa: SLF001 - argparse has no public way to its arguments

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ctxkit.cli import parser_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["page"]

HEAD = """# Commands

Written from the help of each command by `python -m scripts.reference`; `ctxkit COMMAND --help` says the same. Exit codes, where
nothing else is said: 0 nothing to complain of, 1 a finding, 2 the command was used wrongly, 130 interrupted.
"""


def page() -> str:
    """All commands in the order of the help."""
    parser = parser_of()
    rows = [f"| [`ctxkit {name}`](#ctxkit-{name}) | {said} |" for name, _, said in _commands(parser)]
    lines = [HEAD, "| command | what it does |", "|---|---|", *rows, ""]
    for name, command, _ in _commands(parser):
        lines += _entry(f"ctxkit {name}", command)
    return "\n".join(lines).rstrip() + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """Name, parser and one line of what it does, of each command of a parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                yield choice.dest, action.choices[choice.dest], choice.help or ""


def _entry(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## `{name}`\n"
    yield from _body(parser)
    for action, command, said in _commands(parser):
        yield f"### `{name} {action}`\n\n{_sentence(said)}\n"
        yield from _body(command)


def _body(parser: argparse.ArgumentParser) -> Iterator[str]:
    if parser.description:
        yield " ".join(parser.description.split()) + "\n"
    rows = [_row(action) for action in parser._actions if action.help != argparse.SUPPRESS and _told(action)]
    if rows:
        yield from ("| argument | what it does |", "|---|---|", *rows, "")
    if parser.epilog:
        yield f"```text\n{parser.epilog.strip()}\n```\n"


def _told(action: argparse.Action) -> bool:
    return not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)


def _row(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    value = action.metavar or choices or action.dest.upper()
    names = ", ".join(action.option_strings)
    shown = str(value) if not names else names if action.nargs == 0 else f"{names} {value}"
    return f"| `{_safe(shown)}` | {_safe(action.help or '')} |"


def _safe(text: str) -> str:
    """Within a cell of a table."""
    return text.replace("%%", "%").replace("|", "\\|")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
