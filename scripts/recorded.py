"""Recorded requests as the fit and the accuracy report read them: a conversation and what the provider counted.

Looks for the data at ``CTXKIT_DATA``, else ``../shared/data`` beside the repository.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxkit import dialects
from ctxkit.errors import ProviderShapeError
from ctxkit.metering.features import is_hosted
from ctxkit.metering.frame import frame_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.model import Conversation

__all__ = ["DATA", "DIALECTS", "PLATFORMS", "Sample", "digests_of", "fold_of", "project_of", "samples"]

DATA = Path(os.environ.get("CTXKIT_DATA") or Path(__file__).parent.parent / ".." / "shared" / "data").resolve()

DIALECTS = {
    "chat": "openai.chat",
    "cohere_chat": "openai.chat",
    "ollama_chat": "openai.chat",
    "responses": "openai.responses",
    "messages": "anthropic.messages",
    "generate": "gemini.generate",
    "generate_stream": "gemini.generate",
    "converse": "bedrock.converse",
    "converse_stream": "bedrock.converse",
    "invoke": "bedrock.invoke",
    "invoke_stream": "bedrock.invoke",
}
"""Endpoints of the recordings and the wire format that reads them (Cohere's and Ollama's chats are OpenAI-shaped)."""

PLATFORMS = {"google-gla": "google", "google-vertex": "vertex", "vercel-gw": "vercel", "chatgpt.com": "openai"}

_JAPANESE = re.compile("[\u3040-\u30ff]")
_EMBEDDINGS = re.compile("embed|rerank")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One recorded request.

    Attributes:
        id: of the record.
        platform: who served it, by the names of ``ctxkit.dialects.platforms``.
        model: as requested.
        endpoint: as the recording names it.
        repo: where it was recorded; ``recording`` is the file, ``session`` one version of it (files are recorded
            anew as providers change), ``order`` the place in it.
        recording: see ``repo``.
        session: see ``repo``.
        order: see ``repo``.
        total: tokens of the whole prompt as the provider reported them.
        conversation: the request, read.
        left_out: why it tells nothing of the estimate's error, or ``None``.
        japanese: it holds Japanese text.
    """

    id: str
    platform: str
    model: str
    endpoint: str
    repo: str
    recording: str
    session: str
    order: int
    total: int
    conversation: Conversation
    left_out: str | None
    japanese: bool


def samples(folder: Path = DATA) -> Iterator[Sample]:
    """Every recorded request of a known dialect whose prompt the provider counted."""
    with lzma.open(folder / "exchanges" / "requests.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            sample = _sample(json.loads(line))
            if sample is not None:
                yield sample


def _sample(record: Mapping[str, Any]) -> Sample | None:
    total = (record["n"] or {}).get("total_input")
    name = DIALECTS.get(record["endpoint"])
    model = record["model"] or ""
    dialect = dialects.get(name) if name else None
    if not total or dialect is None or _EMBEDDINGS.search(model):
        return None
    try:
        conversation = dialect.view(record["request"])
    except ProviderShapeError:
        return None
    text = json.dumps(record["request"], ensure_ascii=False)
    provider = str(record["provider"])
    return Sample(
        id=record["id"],
        platform=PLATFORMS.get(provider, provider),
        model=model,
        endpoint=record["endpoint"],
        repo=record["repo"],
        recording=f"{record['repo']}/{record['path']}",
        session=f"{record['repo']}/{record['path']}@{record['blob']}",
        order=record["i"],
        total=total,
        conversation=conversation,
        left_out=_left_out(record, conversation, len(text.encode("utf-8", "surrogatepass"))),
        japanese=bool(_JAPANESE.search(text)),
    )


def _left_out(record: Mapping[str, Any], conversation: Conversation, size: int) -> str | None:
    """Why the prompt that was counted is not the one we see."""
    if record["suspect"]:
        return "marked as probably made by hand"
    if conversation.server_history is not None:
        return "the history is held by the provider"
    if record["elided"]:
        return "long base64 was taken out of the recording"
    if len((record["usage"] or {}).get("iterations") or ()) > 1:
        return "several prompts in one answer (server-side compaction)"
    if frame_of(conversation).opaque or any(is_hosted(part.value) for part in _tools(conversation)):
        return "tools that the provider runs (search, remote tools, code, files)"
    if any(part.kind in ("image", "audio", "video", "document") and not part.text for part in conversation.parts):
        return "media by reference (its size is not in the request)"
    if total_of(record) < 3:
        return "the provider did not count"
    if total_of(record) > size + 1500:
        return "more tokens reported than the request has bytes (its recorder cut the prompt)"
    return None


def total_of(record: Mapping[str, Any]) -> int:
    """Tokens of the whole prompt as reported."""
    return int(record["n"]["total_input"])


def _tools(conversation: Conversation) -> Iterator[Any]:
    return (part for part in conversation.parts if part.kind == "tool")


def fold_of(recording: str, folds: int = 5) -> int:
    """Which fold a recording stands in: whole recordings are held out, never single requests."""
    return int(hashlib.md5(recording.encode()).hexdigest(), 16) % folds


def digests_of(conversation: Conversation) -> list[bytes]:
    """One hash per message, as the kit would give."""
    return [
        hashlib.blake2b(repr((message.role, message.value)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for message in conversation.messages
    ]


_PROJECTS = ("crmne/ruby_llm", "pydantic/pydantic-ai", "Mirascope/mirascope")


def project_of(repo: str) -> int:
    """Which of four folds a project stands in, for errors on projects that were never seen."""
    return _PROJECTS.index(repo) if repo in _PROJECTS else len(_PROJECTS)


if __name__ == "__main__":
    found = Counter(sample.left_out for sample in samples())
    for reason, count in found.most_common():
        print(f"{count:6} {reason or 'used'}")
