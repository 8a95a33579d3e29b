"""Every file in examples/frameworks/ runs, as it stands, against the fake provider, and is short."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctxkit.testing import Behaviour, FakeProvider, Request, ToolCall
from tests.frameworks.shared import results

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples" / "frameworks").glob("with_*.py"))
CALLS = {"rain": {"city": "Oslo"}, "Person": {"name": "Ann", "age": 41}}


def answer(request: Request) -> Behaviour | None:
    """Calls the tool that is offered, says "Four." once it has its result."""
    body = request.json if isinstance(request.json, dict) else {}
    offered = [name for name in CALLS if f"'{name}'" in str(body.get("tools"))]
    if not offered or results(body):
        return None
    return Behaviour(text="", calls=tuple(ToolCall(name, CALLS[name]) for name in offered))


def lines_of_code(example: Path) -> list[str]:
    """What stands below the description, imports among it."""
    code = example.read_text(encoding="utf-8").split('"""', 2)[2]
    return [line for line in code.splitlines() if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_short(example):
    assert len(lines_of_code(example)) <= 15


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_says_what_it_cost(example, tmp_path):
    text = example.read_text(encoding="utf-8")
    for package in re.findall(r"^(?:import|from) (\w+)", text, re.M):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    with FakeProvider(text="Four.", answer=answer) as provider:
        surroundings = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CTXKIT_HOME": str(tmp_path / "home"),
            "OPENAI_BASE_URL": provider.openai_url,
            "OPENAI_API_BASE": provider.openai_url,
            "OPENAI_API_KEY": "none",
            "ANTHROPIC_BASE_URL": provider.anthropic_url,
            "ANTHROPIC_API_KEY": "none",
        }
        done = subprocess.run(
            [sys.executable, str(example)],
            env=surroundings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        asked = len([request for request in provider.requests if request.method == "POST"])
    assert asked >= 1 + ("def rain" in text)
    assert "Four." in done.stdout or "Ann" in done.stdout
    (name,) = re.findall(r"feature\(\"([\w-]+)\"", text)
    assert name in done.stdout, f"{name} is missing in the report:\n{done.stdout}"
    assert done.stderr == ""
