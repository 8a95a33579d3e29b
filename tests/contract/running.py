"""Programs behind ``ctxkit run``, and the same programs without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ctxkit.testing import FakeProvider

PROGRAMS = Path(__file__).parent / "programs"
KEYS = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), "sk-none")
_OURS = ("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "AZURE_", "AWS_", "CLAUDE_", "CTXKIT_MODE")


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """The JSON that it printed last."""
        return json.loads(self.out.rstrip().rpartition("\n")[2])


def surroundings(url: str = "", **more: str) -> dict[str, str]:
    """An environment whose base URLs lead to a provider at ``url``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    urls = {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url, "GOOGLE_GEMINI_BASE_URL": url} if url else {}
    return {**clean, **KEYS, **urls, **more}


def alone(words: Sequence[str], environment: Mapping[str, str]) -> Ended:
    """Run a command."""
    done = subprocess.run(list(words), env=dict(environment), capture_output=True, timeout=120, check=False)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def metered(words: Sequence[str], environment: Mapping[str, str], *options: str) -> Ended:
    """Run a command behind ``ctxkit run``."""
    return alone([sys.executable, "-m", "ctxkit", "run", *options, "--", *words], environment)


def reported(ended: Ended) -> tuple[str, Any]:
    """What the program printed, and the report (of ``--json``) after it."""
    start = ended.out.index('{\n  "by"')
    return ended.out[:start], json.loads(ended.out[start:])


def wire(provider: FakeProvider) -> list[tuple[Any, ...]]:
    """What arrived: without what belongs to a hop, and what is random in every request."""
    apart = {"host", "connection", "idempotency-key", "x-stainless-retry-count", "date"}
    return [
        (one.method, one.path, one.query, {k: v for k, v in one.headers.items() if k not in apart}, one.body)
        for one in provider.requests
    ]


def timeless(value: Any) -> Any:
    """Without the moments at which the fake provider answered."""
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if not name.startswith("created")}
    return [timeless(item) for item in value] if isinstance(value, list) else value
