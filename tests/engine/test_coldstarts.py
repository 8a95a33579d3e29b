"""Many cold requests at once on a real inference engine (vLLM): it shares what it is still computing by itself.

That is why its row says ``visible = "starts"`` and nobody is held up for it. See test_engine.py for how to run this.
"""

import os
import threading

import pytest

from ctxkit import Kit, Policy
from ctxkit.testing import capture
from tests.engine.test_engine import ENGINE, model  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ENGINE, reason="no engine: set CTXKIT_ENGINE_URL to the URL of a vLLM server"),
]


def test_of_many_cold_requests_at_once_the_engine_computes_one(model):  # noqa: F811 - the fixture
    sdk = pytest.importorskip("openai")
    seed = os.urandom(8).hex()
    kit = Kit(strict=True, policy=Policy(usage_probe=True))

    def ask(client, number):
        messages = [
            {"role": "system", "content": f"{seed} You are a careful helper. " * 300},
            {"role": "user", "content": f"Question {number} {os.urandom(4).hex()}"},
        ]
        for _ in client.chat.completions.create(model=model, messages=messages, max_tokens=4, stream=True):
            pass

    with kit.wrap(sdk.OpenAI(base_url=f"{ENGINE}/v1", api_key="none"), platform="vllm") as client, capture(kit) as seen:
        threads = [threading.Thread(target=ask, args=(client, number)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    kit.close()
    reads = sorted(record.usage.read for record in seen)
    assert reads[0] == 0
    assert all(read >= 1_000 for read in reads[1:])
