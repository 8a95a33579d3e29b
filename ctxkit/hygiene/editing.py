"""From what arrived smaller and what was decided to what is said: one text for each piece that changes.

Pointers are kept safe here: where a piece that others point to is to say something else, or goes, those that point to it
say what they said before, and so do those that point to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit.editable import Fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ctxkit.editable import Action, Place, Rewrite
    from ctxkit.hygiene.decisions import Decided
    from ctxkit.hygiene.stubs import Sayings

__all__ = ["Said", "combined", "standing"]


class Said(NamedTuple):
    """What is said instead of what the application sent.

    Attributes:
        rewrites: by piece.
        drops: indices of messages that go, with the pass that has them go.
    """

    rewrites: Mapping[Place, Rewrite]
    drops: Mapping[int, str]


def standing(decided: Iterable[Decided]) -> list[Decided]:
    """Actions that hold beside one another: what stands in a stretch that is folded needs no stub of its own."""
    ordered = sorted(decided, key=lambda one: (not isinstance(one.action, Fold), -_length(one.action)))
    folds: list[Fold] = []
    found: dict[object, Decided] = {}
    for one in ordered:
        action = one.action
        start, end = (action.start, action.end) if isinstance(action, Fold) else (action.place[0], action.place[0] + 1)
        if any(fold.start < end and start < fold.end for fold in folds):
            continue
        if isinstance(action, Fold):
            folds.append(action)
        found.setdefault(action, one)
    return sorted(found.values(), key=lambda one: (_first(one.action), str(one.by)))


def _length(action: Action) -> int:
    return action.end - action.start if isinstance(action, Fold) else 0


def _first(action: Action) -> tuple[int, int]:
    return (action.start, -1) if isinstance(action, Fold) else action.place


def combined(arrived: Mapping[Place, Rewrite], decided: Sequence[Decided], render: Callable[[Action], Sayings]) -> Said:
    """What is said of a whole conversation.

    Args:
        arrived: what was made smaller on arrival.
        decided: actions that hold beside one another.
        render: what an action comes to.
    """
    rewrites: dict[Place, Rewrite] = {}
    drops: dict[int, str] = {}
    for action, by in decided:
        texts, gone = render(action)
        rewrites |= {one.place: one._replace(by=by) for one in texts}
        drops |= dict.fromkeys(gone, by)
    changed = {*rewrites}
    kept = {place: one for place, one in arrived.items() if place not in rewrites and place[0] not in drops}
    return Said({**_safe(kept, arrived, changed, drops), **rewrites}, drops)


def _safe(
    kept: dict[Place, Rewrite], arrived: Mapping[Place, Rewrite], changed: set[Place], drops: Mapping[int, str]
) -> dict[Place, Rewrite]:
    """Without those that point to what changed; one that is undone has changed, too."""
    gone = {place for place in arrived if place[0] in drops}
    while True:
        unsafe = [
            place
            for place, one in kept.items()
            if any(target in changed or target in gone or target[0] in drops for target in one.targets)
        ]
        if not unsafe:
            return kept
        for place in unsafe:
            del kept[place]
            changed.add(place)
