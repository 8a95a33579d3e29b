"""What the proxy of ``ctxkit run`` adds: the same requests directly and through it, as ratios of medians.

    python tests/benchmarks/bench_proxy.py [--json]

Provider, proxy and client share this process (and its lock), so that the ratio is the worst there is; a real provider
takes a thousand times as long as the one here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import httpx2

from ctxkit import Kit
from ctxkit.integrations.proxy.server import Proxy
from ctxkit.integrations.proxy.upstreams import upstreams
from ctxkit.testing import FakeProvider, Reply, Request

SMALL = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
LONG = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"word {turn} " * 200} for turn in range(200)]}
STREAMED = {**SMALL, "stream": True}
EVENTS = 2_000


def stream(request: Request) -> Reply | None:
    """2,000 events for whoever asks for a stream."""
    if not request.json.get("stream"):
        return None
    event = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
    return Reply(event * EVENTS + b"data: [DONE]\n\n", 200, "text/event-stream")


def timed(client: httpx2.Client, url: str, body: object, rounds: int) -> list[float]:
    """Seconds of each request."""
    raw, taken = json.dumps(body).encode(), []
    for _ in range(rounds):
        begin = time.perf_counter()
        client.post(f"{url}/v1/chat/completions", content=raw).raise_for_status()
        taken.append(time.perf_counter() - begin)
    return taken


def compared(direct: Callable[[], list[float]], through: Callable[[], list[float]]) -> dict[str, float]:
    """Medians in milliseconds, taken in turns, and their ratio."""
    direct(), through()  # connections are open, code is warm
    before, after = [], []
    for _ in range(5):
        before += direct()
        after += through()
    one, two = statistics.median(before), statistics.median(after)
    return {"direct_ms": round(one * 1e3, 3), "through_ms": round(two * 1e3, 3), "ratio": round(two / one, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = {}
    with FakeProvider(answer=stream) as provider, httpx2.Client(timeout=60) as client:
        with Proxy(Kit(), upstreams({}, {"openai": provider.base_url})) as proxy:
            url = f"{proxy.base}/openai"
            for name, body, rounds in (("small", SMALL, 40), ("long", LONG, 10), ("streamed", STREAMED, 10)):
                found[name] = compared(
                    lambda body=body, rounds=rounds: timed(client, provider.base_url, body, rounds),
                    lambda body=body, rounds=rounds: timed(client, url, body, rounds),
                )
    if args.json:
        print(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        print(
            f"{name:10}{figures['direct_ms']:10} ms direct{figures['through_ms']:10} ms through{figures['ratio']:8} x"
        )


if __name__ == "__main__":
    main()
