"""For tests: a model provider on this machine, and a list of what ctxkit settled.

::

    from ctxkit.testing import FakeProvider, capture

    def test_summary_is_short():
        kit = ctxkit.Kit(store=None, ledger=None)
        with FakeProvider(text="Four.") as provider, capture(kit) as records:
            with kit.wrap(OpenAI(base_url=provider.openai_url, api_key="none")) as client:
                client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "2 + 2?"}])
        assert provider.requests[0].json["model"] == "gpt-5"
        assert records[0].usage.output == 2
"""

from __future__ import annotations

from ctxkit.testing.caches import SimulatedCaches
from ctxkit.testing.capturing import capture
from ctxkit.testing.provider import FakeProvider
from ctxkit.testing.values import Behaviour, Fault, Reply, Request, Tokens, ToolCall

__all__ = ["Behaviour", "FakeProvider", "Fault", "Reply", "Request", "SimulatedCaches", "Tokens", "ToolCall", "capture"]
