"""What drift of a conversation is measured in: frozen values that rooms hand one another.

The hygiene room measures (:mod:`ctxkit.hygiene.drift`), the hall prices and watches, the report adds up. The definition
of each figure, and what it is evidence for, stands in ``docs/explanation/drift.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["DRIFTING", "LEVELS", "LOST", "STUCK", "Drift", "DriftEvent", "Level", "Superseded"]

Level: TypeAlias = Literal["calm", "drifting", "lost"]
"""How far it has come, by the policy's thresholds of the score."""

LEVELS: Final[tuple[Level, ...]] = ("calm", "drifting", "lost")
"""From the best to the worst."""

DRIFTING: Final = 0.4
"""Score from which on a conversation drifts, unless the policy says otherwise."""

LOST: Final = 0.7
"""Score from which on it is lost, unless the policy says otherwise."""

STUCK: Final = 0.75
"""``Drift.loop`` from which on a model counts as stuck."""


class Superseded(NamedTuple):
    """Something that a user asked for and that was taken back, or contradicted, later.

    Attributes:
        message: index of the message that said it, in :attr:`~ctxkit.model.Conversation.messages`.
        by: index of the one that took it back.
        kind: ``"superseded"``: the user said something else; ``"contradicted"``: both stand and cannot both hold.
    """

    message: int
    by: int
    kind: Literal["superseded", "contradicted"]


@dataclass(frozen=True, slots=True)
class Drift:
    """How much of a request is noise, what that costs, and what is threatened by it. Holds no text.

    Attributes:
        score: from 0 (all of it serves the goal) to 1, put together from the figures below.
        tokens: of the conversation, the opening instruction and tools left out, by the estimate.
        noise: of those, tokens that neither bear on the current goal nor were referred to lately.
        fee: USD that these cost in this request, at the cache mix it was billed at; ``None``: not known.
        repetition: share of the tokens that stand in blocks that stood there before, from 0 to 1.
        loop: how sure it is that the model is stuck, doing the same again without a new result, from 0 to 1.
        goal: likeness of what is done now to what was asked for, first or now, beside what it was when that was said: from 0
            to 1 (as then); ``None``: too early to say.
        superseded: constraints of the user that no longer hold and still stand there.
        position: share of what matters that stands in the middle of a very long prompt, from 0 to 1.
        by: what ranked it: ``"lexical"`` or the name of the embedding model.
        level: how far that is, by the policy's thresholds; ``None``: nobody has judged it.
    """

    score: float
    tokens: int = 0
    noise: int = 0
    fee: Decimal | None = None
    repetition: float = 0.0
    loop: float = 0.0
    goal: float | None = None
    superseded: tuple[Superseded, ...] = ()
    position: float = 0.0
    by: str = "lexical"
    level: Level | None = None

    @property
    def noise_share(self) -> float:
        """Noise over all tokens of the conversation, from 0 to 1."""
        return self.noise / self.tokens if self.tokens else 0.0

    @property
    def stuck(self) -> bool:
        """The model seems to do the same again and again."""
        return self.loop >= STUCK


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A conversation came to another level, as ``Policy(on_drift=...)`` is told. Holds no text.

    Attributes:
        level: where it is now.
        before: where it was; ``"calm"`` for one that was never measured before.
        drift: what that was measured in.
        thread: id of the conversation, ``plan.thread``.
        feature: whose it is; ``None``: unattributed.
        attempt: id of the request that was measured, for ``ctxkit explain``.
        model: that was asked.
    """

    level: Level
    before: Level
    drift: Drift
    thread: str
    feature: str | None = None
    attempt: str = ""
    model: str = ""

    @property
    def worse(self) -> bool:
        """It came from a calmer level."""
        return LEVELS.index(self.level) > LEVELS.index(self.before)
