"""Whether the model's loops are found, and nothing else: recorded sessions and agent runs, labelled by hand.

    python -m tests.benchmarks.bench_loops
    python -m tests.benchmarks.bench_loops --json FILE       # for scripts/benchmarks.py

`loops.json` says which of them are loops, and by which rule that was judged. A conversation counts as found when it is
stuck at any of its requests. Recordings are in two halves by the hash of their name, so that those of one test are in one:
thresholds were set on one half, and the other is what counts. Intervals are Wilson's, for 95 of 100.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import os
from pathlib import Path
from typing import Any, NamedTuple

from ctxkit import dialects
from ctxkit.errors import ProviderShapeError
from ctxkit.hall.retelling import opening_of
from ctxkit.hygiene.drift.loops import STUCK, stuck_at
from ctxkit.hygiene.history import History
from ctxkit.replay.threads import read_threads

DATA = Path(os.environ.get("CTXKIT_DATA") or Path(__file__).parents[3] / "shared" / "data").resolve()
LABELS = json.loads((Path(__file__).parent / "loops.json").read_text(encoding="utf-8"))
SETS = ("tau_bench_airline", "swe_agent_demos", "openhands", "aider_chats", "mint")
ENDPOINTS = {
    "chat": "openai.chat",
    "responses": "openai.responses",
    "messages": "anthropic.messages",
    "generate": "gemini.generate",
    "generate_stream": "gemini.generate",
    "converse": "bedrock.converse",
    "converse_stream": "bedrock.converse",
}
LEAST = 3  # steps of the model that a loop takes


class Judged(NamedTuple):
    """One conversation: its recording, whether somebody who read it called it a loop, and how sure it is that it is one."""

    recording: str
    loop: bool
    score: float

    @property
    def found(self) -> bool:
        return self.score >= STUCK


class Conversation(NamedTuple):
    """One of a recorded session, and whether somebody who read it called it a loop."""

    recording: str
    loop: bool
    history: History


def history_of(dialect: str, body: Any) -> History | None:
    view, wire = dialects.get(dialect), dialects.texts(dialect)
    assert view is not None
    assert wire is not None
    try:
        conversation = view.view(body)
    except ProviderShapeError:
        return None
    messages = conversation.messages[opening_of(conversation) :]
    return History([one for at, message in enumerate(messages) for one in wire.pieces(message, at)], len(messages))


def worst(history: History) -> float:
    """How stuck it was at the worst of its requests: behind each step with what came of it."""
    return max((score for _, score in stuck_at(history)), default=0.0)


def lines(path: Path) -> Any:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def sessions() -> list[Judged]:
    """Whole conversations of recorded sessions."""
    return [Judged(one.recording, one.loop, worst(one.history)) for one in conversations()]


def conversations() -> list[Conversation]:
    """Of recorded sessions: requests that no other request of the session goes on with."""
    asked = {one["id"]: one for one in lines(DATA / "exchanges" / "requests.jsonl.xz")}
    loops, found = set(LABELS["sessions"]), {}
    for session in lines(DATA / "exchanges" / "sessions.jsonl.xz"):
        histories = [(known, history_in(asked[known])) for known in session["ids"] if known in asked]
        told = [(known, one, said_in(one)) for known, one in histories if one is not None and len(one.steps) >= LEAST]
        begun: set[tuple[Any, ...]] = set()
        for known, one, said in sorted(told, key=lambda each: -len(each[2])):
            if said not in begun:
                begun.update(said[:end] for end in range(1, len(said) + 1))
                found.setdefault(said, Conversation(session["path"].rpartition("/")[2], known in loops, one))
    return list(found.values())


def history_in(asked: dict[str, Any]) -> History | None:
    dialect = ENDPOINTS.get(asked["endpoint"])
    return history_of(dialect, asked["request"]) if dialect and isinstance(asked["request"], dict) else None


def said_in(history: History) -> tuple[Any, ...]:
    return tuple((piece.speaker, piece.kind, piece.text) for piece in history.pieces)


def threads(name: str) -> list[Judged]:
    """Conversations and agent runs, from end to end."""
    loops = set(LABELS["threads"].get(name, ()))
    found = []
    for thread in read_threads(DATA / "threads" / f"{name}.jsonl.xz"):
        history = history_of("openai.chat", {"model": "m", "messages": list(thread.messages)})
        assert history is not None
        found.append(Judged(thread.name, thread.name in loops, worst(history)))
    return found


def held_out(one: Judged) -> bool:
    return int(hashlib.sha256(one.recording.encode()).hexdigest(), 16) % 2 == 1


def wilson(hits: int, of: int) -> tuple[float, float]:
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle, width = share + z * z / (2 * of), z * ((share * (1 - share) + z * z / (4 * of)) / of) ** 0.5
    return (middle - width) / (1 + z * z / of), (middle + width) / (1 + z * z / of)


def measured(judged: list[Judged]) -> dict[str, Any]:
    both = sum(one.loop and one.found for one in judged)
    loops, found = sum(one.loop for one in judged), sum(one.found for one in judged)
    return {
        "conversations": len(judged),
        "recordings": len({one.recording for one in judged}),
        "loops": loops,
        "found": found,
        "right": both,
        "precision": both / found if found else None,
        "precision_interval": wilson(both, found),
        "recall": both / loops if loops else None,
        "recall_interval": wilson(both, loops),
    }


def rows() -> dict[str, dict[str, Any]]:
    told = sessions()
    found = {
        "sessions, held out": measured([one for one in told if held_out(one)]),
        "sessions, thresholds set on them": measured([one for one in told if not held_out(one)]),
    }
    agents = {name: threads(name) for name in SETS}
    found |= {name: measured(judged) for name, judged in agents.items()}
    return found | {"all agent runs and chats": measured([one for judged in agents.values() for one in judged])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    found = rows()
    for name, one in found.items():
        shares = [
            f"{what} {one[what]:.3f} ({one[f'{what}_interval'][0]:.3f}-{one[f'{what}_interval'][1]:.3f})"
            for what in ("precision", "recall")
            if one[what] is not None
        ]
        print(f"{name:34} {one['conversations']:5} {one['loops']:4} loops {one['found']:4} found  {'  '.join(shares)}")
    if options.json:
        options.json.write_text(json.dumps({"loops": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
