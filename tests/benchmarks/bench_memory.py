"""Memory over many requests: what is remembered is bounded, so it must come to rest.

    python tests/benchmarks/bench_memory.py [requests]

Threads of 1 to 30 turns grow, change their early messages (an edit, a new system text) and end; features, models,
labels, tenants and response ids come and go. Each way of metering runs in a process of its own: through ``kit.plan``
and ``kit.settle``, and through the hooks of an httpx client (streamed and not) over a transport that needs no network.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctxkit import Kit

MARKS = (0.1, 0.5, 1.0)
"""Shares of the requests after which memory is read."""

USAGE = {"prompt_tokens": 900, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 512}}


def resident() -> float:
    """Memory of this process in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def requests() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Bodies of endless conversations, 50 at a time, and who asks."""
    chance = random.Random(7)
    threads: list[list[dict[str, str]]] = [[] for _ in range(50)]
    number = 0
    while True:
        number += 1
        place = chance.randrange(len(threads))
        thread = threads[place]
        if not thread or chance.random() < 1 / 15:
            thread = threads[place] = [{"role": "system", "content": f"You help tenant {number}. " * 5}]
        elif chance.random() < 0.1:
            thread[0] = {"role": "system", "content": f"You help tenant {number}, differently. " * 5}
        thread.append({"role": "user", "content": f"Question {number}: " + _words(chance, 40)})
        model = "gpt-4o" if number % 10 else f"tuned-{number}"
        body = {"model": model, "messages": list(thread), "stream": number % 2 == 0}
        who = {
            "feature": f"feature-{number % 5_000}",
            "labels": {"user": f"u{number}"},
            "scope": f"tenant-{number % 700}",
        }
        yield body, who
        thread.append({"role": "assistant", "content": _words(chance, 60)})


def _words(chance: random.Random, count: int) -> str:
    return " ".join(f"w{chance.randrange(100_000)}" for _ in range(count))


def by_kit(kit: Kit) -> Iterator[None]:
    """Plans and settles by hand."""
    for number, (body, who) in enumerate(requests()):
        plan = kit.plan(body, dialect="openai.chat", platform="openai", **who)
        if number % 50 == 0:
            continue  # planned and never sent
        kit.sent(plan)
        if number % 20:
            answer = {"id": f"chatcmpl-{number}", "model": f"{body['model']}-2024-08-06", "usage": USAGE}
            kit.settle(plan, answer, status=500 if number % 33 == 0 else 200)
        yield


def by_door(kit: Kit) -> Iterator[None]:
    """Sends through the hooks of an HTTP client; a few streams are dropped half-way."""
    try:
        import httpx2 as httpx
    except ImportError:
        import httpx

    from ctxkit import feature

    client = kit.attach(httpx.Client(transport=httpx.MockTransport(_answered(httpx))))
    for number, (body, who) in enumerate(requests()):
        with (
            feature(who["feature"], **who["labels"]),
            client.stream("POST", "https://api.openai.com/v1/chat/completions", json=body) as response,
        ):
            for _ in response.iter_bytes():
                if number % 25 == 0:
                    break
        yield


def _answered(httpx: Any) -> Any:
    events = [b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'] * 5
    events += [b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n", b"data: [DONE]\n\n"]
    whole = {"id": "chatcmpl-1", "model": "gpt-4o", "choices": [], "usage": USAGE}

    def answer(request: Any) -> Any:
        if b'"stream":true' in request.content:
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_stream(httpx, events))
        return httpx.Response(200, json=whole)

    return answer


def _stream(httpx: Any, events: list[bytes]) -> Any:
    class Stream(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from events

    return Stream()


WAYS = {"kit": by_kit, "door": by_door}


def measure(way: str, count: int) -> None:
    """Print the memory at each mark, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(ledger=Path(folder, "ledger.db"), store=Path(folder, "store"))
        marks = {round(count * share) for share in MARKS}
        sizes = []
        for number, _ in enumerate(WAYS[way](kit), 1):
            if number in marks:
                kit.flush()
                sizes.append(resident())
            if number >= count:
                break
        kit.close()
    print(json.dumps(sizes))


def main() -> None:
    """Measure each way in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requests", type=int, nargs="?", default=30_000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        measure(args.way, args.requests)
        return
    print("| way | " + " | ".join(f"MB at {args.requests * share:,.0f}" for share in MARKS) + " | last / middle |")
    print("|---|" + "---|" * (len(MARKS) + 1))
    for way in WAYS:
        command = [sys.executable, __file__, str(args.requests), "--way", way]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        sizes = json.loads(done.stdout.splitlines()[-1])
        print(f"| {way} | " + " | ".join(f"{size:.0f}" for size in sizes) + f" | {sizes[-1] / sizes[-2]:.3f} |")


if __name__ == "__main__":
    main()
