"""Conversations written by hand, as pieces."""

from __future__ import annotations

import json
from typing import Any

from ctxkit.editable import Piece
from ctxkit.hygiene.history import History


class Thread:
    """Written down message by message; every method gives the thread, so that calls may be chained."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.count = 0
        self._calls = 0

    def _message(self, *pieces: dict[str, Any]) -> Thread:
        for number, piece in enumerate(pieces):
            self.pieces.append(Piece(self.count, number, path=("messages", self.count, number), **piece))
        self.count += 1
        return self

    def user(self, *texts: str, **more: Any) -> Thread:
        return self._message(*({"kind": "text", "speaker": "user", "text": text, **more} for text in texts))

    def says(self, *texts: str, **more: Any) -> Thread:
        return self._message(*({"kind": "text", "speaker": "assistant", "text": text, **more} for text in texts))

    def nothing(self) -> Thread:
        """A message without a text: media, hidden reasoning."""
        return self._message()

    def calls(self, name: str, *results: str, failed: bool = False, **arguments: Any) -> Thread:
        """A call and its result: one text, or one text for each block."""
        return self.asks(name, **arguments).answers(name, *results, failed=failed)

    def asks(self, name: str, **arguments: Any) -> Thread:
        self._calls += 1
        text = json.dumps(arguments)
        return self._message(
            {"kind": "arguments", "speaker": "assistant", "text": text, "name": name, "pair": f"c{self._calls}"}
        )

    def answers(self, name: str, *results: str, failed: bool = False) -> Thread:
        shared = {"kind": "result", "speaker": "tool", "pair": f"c{self._calls}", "name": name, "failed": failed}
        return self._message(*({"text": text, **shared} for text in results))

    def steps(self, count: int) -> Thread:
        """The user and the model go on about nothing for so many steps."""
        for number in range(count):
            self.user("Go on.").says(f"Fine, that is {number} of them.")
        return self

    @property
    def history(self) -> History:
        return History(list(self.pieces), self.count)


def flights(seed: int, count: int = 12) -> str:
    """What a search for flights gives back."""
    return json.dumps(
        [
            {
                "flight_number": f"HAT{seed:02}{number}",
                "scheduled_departure_time_est": f"{number + 5:02}:00:00",
                "status": "available",
                "prices": {"economy": 100 + number, "business": 400 + number},
            }
            for number in range(count)
        ]
    )


def source(name: str, lines: int = 60) -> str:
    """A file of a program."""
    return "\n".join(f"def {name}_{number}(value):\n    return value + {number}" for number in range(lines // 2))
