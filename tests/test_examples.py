"""Every file in examples/ runs, as it stands, against the fake provider."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctxkit.testing import FakeProvider

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SDKS = ("openai", "anthropic", "google.genai", "boto3", "litellm")


def environment(provider: FakeProvider, home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CTXKIT_HOME": str(home),
        "OPENAI_BASE_URL": provider.openai_url,
        "OPENAI_API_KEY": "none",
        "ANTHROPIC_BASE_URL": provider.anthropic_url,
        "ANTHROPIC_API_BASE": provider.anthropic_url,
        "ANTHROPIC_API_KEY": "none",
        "GOOGLE_GEMINI_BASE_URL": provider.gemini_url,
        "GEMINI_API_KEY": "none",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": provider.bedrock_url,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def needs(example: Path) -> list[str]:
    found = re.findall(r"^(?:import|from) (\w+)(?: import (\w+))?", example.read_text(encoding="utf-8"), re.M)
    imported = {name for name, _ in found} | {f"{name}.{inner}" for name, inner in found}
    return [sdk for sdk in SDKS if sdk in imported]


def test_there_is_one_for_each_sdk():
    assert {sdk for example in EXAMPLES for sdk in needs(example)} == set(SDKS)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_says_what_it_cost(example, tmp_path):
    for sdk in needs(example):
        if importlib.util.find_spec(sdk.partition(".")[0]) is None or importlib.util.find_spec(sdk) is None:
            pytest.skip(f"{sdk} is not installed")
    with FakeProvider(text="Four.") as provider:
        done = subprocess.run(
            [sys.executable, str(example)],
            env=environment(provider, tmp_path / "home"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert provider.requests
    assert "Four." in done.stdout or "tokens in" in done.stdout
    names = re.findall(r"feature\(\"([\w-]+)\"", example.read_text(encoding="utf-8"))
    for name in names:
        assert name in done.stdout, f"{name} is missing in the report:\n{done.stdout}"
