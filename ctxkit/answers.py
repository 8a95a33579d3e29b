"""What the user may decide of reusing answers: the table ``[tool.ctxkit.answers]``, or ``Policy(answers=Answers(...))``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Answers"]


class Answers(BaseModel):
    """Where answers are kept, for how long and how many, so that the very same request is not sent twice.

    Example:
        >>> Answers(ttl=86_400, where="disk").max_bytes
        67108864
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    where: Literal["memory", "disk"] = "memory"
    """``memory``: of this process. ``disk``: also in the folder of the store, for other processes and after a restart;
    texts of prompts are not in it, those of answers are (see ``Policy.answers_key``)."""

    ttl: float = Field(default=3600.0, gt=0, le=365 * 86_400)
    """Seconds after which an answer is served no more; that it was served does not lengthen its life."""

    max_bytes: int = Field(default=64 * 2**20, ge=2**16)
    """Bytes of all answers, in memory and on disk each; beyond that those go that were used (on disk: stored) longest ago."""

    max_answer_bytes: int = Field(default=4 * 2**20, ge=2**10)
    """Bytes of the largest answer that is kept."""

    max_answers: int = Field(default=10_000, ge=1)
    """Most answers in memory."""

    wait: float = Field(default=30.0, ge=0, le=600)
    """Seconds a request waits at most for the answer to the same request that is under way in this process; 0: never."""

    apart: tuple[str, ...] = ()
    """Labels that keep answers apart: with ``("tenant",)`` none is served to a request whose label ``tenant`` is another
    one. Scopes and credentials always do."""
