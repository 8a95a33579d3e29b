"""The values that walk through the house: frozen, without behaviour that needs the outside.

Reading a request gives a :class:`Conversation` of :class:`Message` and :class:`Part`, each with the path of
the wire JSON it looks at. Weighing it gives an :class:`Estimate`, planning a :class:`Plan`; the answer is read
into an :class:`Answer`, whose :class:`Usage` is settled into a :class:`Record`.
"""

from __future__ import annotations

from ctxkit.model.answer import Answer, Timing, Usage
from ctxkit.model.estimate import CostRange, Estimate
from ctxkit.model.plan import Plan
from ctxkit.model.record import Record, Status
from ctxkit.model.request import Conversation, Edit, Json, Message, Part, PartKind, Path

__all__ = [
    "Answer",
    "Conversation",
    "CostRange",
    "Edit",
    "Estimate",
    "Json",
    "Message",
    "Part",
    "PartKind",
    "Path",
    "Plan",
    "Record",
    "Status",
    "Timing",
    "Usage",
]
