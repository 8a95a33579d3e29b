"""The command line: one file per command, each with ``add_parser`` and ``run``.

Exit codes: 0 nothing to complain of, 1 a finding, 2 the command was used wrongly, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import sys
from importlib import import_module
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

from ctxkit.errors import CtxkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "main", "parser_of"]

COMMANDS = ("demo", "audit", "report", "explain", "recall", "caches", "lint", "prices", "whatif", "run", "doctor")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the entry point of ``ctxkit``."""
    parser = parser_of()
    args = parser.parse_args(argv)
    _write_anything()
    try:
        return int(args.run(args))
    except CtxkitError as error:
        print(f"ctxkit {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nctxkit {args.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `ctxkit report | head`
        sys.stderr.close()
        return 0
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # rich ends the program by itself then
            return 0
        raise
    except OSError as error:  # a full disk behind `> report.csv`
        print(f"ctxkit {args.command}: {error}", file=sys.stderr)
        return 2


def _write_anything() -> None:
    """A terminal or pipe that has no letter for something shows its number in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def parser_of() -> argparse.ArgumentParser:
    """Everything that can be said on the command line."""
    parser = argparse.ArgumentParser(
        prog="ctxkit",
        description="What your application sends to model APIs, what it costs, and what it wastes.",
        epilog="example: ctxkit report --by feature,model --since 7d",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = import_module(f"ctxkit.cli.{name}")
        added = command.add_parser(commands)
        added.description = fill(
            added.description or "", get_terminal_size().columns - 2
        )  # beside examples nobody else does
        added.set_defaults(run=command.run)
    return parser


def _version() -> str:
    from importlib.metadata import version

    return f"ctxkit {version('ctxkit')}"
