"""Once the wrapped call has returned its record is there, whatever happens to the process next."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctxkit import Kit
from ctxkit.testing import FakeProvider
from tests.contract.shared import TOKENS

ROOT = Path(__file__).parent.parent.parent
KILLED = """
import os, signal, sys
from openai import OpenAI
from ctxkit import Kit

kit = Kit(ledger=sys.argv[1])
client = kit.wrap(OpenAI(base_url=sys.argv[2], api_key="none"))
ask = dict(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
client.chat.completions.create(**ask)
for _ in client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}):
    pass
client.responses.create(model="gpt-4o", input="Hi")
stream = client.chat.completions.create(**ask, stream=True)
next(iter(stream))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this platform")
def test_kill_dash_nine(tmp_path):
    pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
    file = tmp_path / "ledger.db"
    with FakeProvider(tokens=TOKENS) as provider:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(file), provider.openai_url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == -signal.SIGKILL, done.stderr
    kit = Kit(ledger=file)
    found = [(r.status, r.usage and r.usage.input_total) for r in kit.ledger.records()]
    kit.close()
    assert found[:3] == [("settled", 100)] * 3
    assert [status for status, _ in found[3:]] == ["unverified"], "what was cut off with the process stays visible"
