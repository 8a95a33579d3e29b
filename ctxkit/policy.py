"""What the user may decide, and where it is written down.

A policy comes from, each overriding the one before: the defaults, ``[tool.ctxkit]`` of ``pyproject.toml``,
``ctxkit.toml`` (both searched from the working folder upwards), environment variables ``CTXKIT_<NAME>``, and what
is passed to ``Policy(...)``. ``Policy(...)`` itself reads no files: ``Policy.load(...)`` does, and so does the
default kit of ``ctxkit.wrap``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from decimal import Decimal
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from ctxkit.answers import Answers
from ctxkit.drift import DRIFTING, LOST, DriftEvent
from ctxkit.errors import ConfigurationError
from ctxkit.tidiness import Tidy

__all__ = ["Policy", "decided_in"]

_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_WAIT = 5.0  # seconds: a cold prefix of 50,000 tokens is computed by then; who waits longer is better off paying for it


class Policy(BaseModel):
    """The user's decisions; unknown names and impossible values are refused with what to do.

    Raises:
        ConfigurationError: from ``Policy(...)`` and ``Policy.load(...)``.

    Example:
        >>> Policy(usage_probe=True).mode
        'observe'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mode: Literal["observe", "cache", "lossless", "prune"] = "observe"
    """``observe``: meter everything, change nothing. ``cache``: also say to the provider's cache what pays (markers,
    their lives, keys); no content is changed. ``lossless``: also make what arrives smaller, where nothing that carries
    meaning is lost. ``prune``: also send diffs, and remove what is over, recoverably, when that pays."""

    tidy: Tidy = Tidy()
    """Passes and limits of the modes ``lossless`` and ``prune`` (see docs/how-to/tidy.md)."""

    usage_probe: bool = False
    """Ask streamed OpenAI-format chats for ``include_usage`` and hide the chunk that only this asked for. Unset: off in
    ``observe``, else on."""

    cache_ttl: Literal["auto", "5m", "30m", "1h", "12h", "24h"] = "auto"
    """Time to live of what is cached, in mode ``cache``. ``auto``: by price and the gaps that were seen. Another one is
    used where the provider sells it. ``24h`` is the older retention of OpenAI, which is never chosen unasked: it keeps
    prompts on disk."""

    cache_isolation: bool = False
    """Keep the entries of different ``scope`` apart where a key does so (vLLM ``cache_salt``, OpenAI from 5.6 on
    ``prompt_cache_key``), in mode ``cache``: nothing is shared between them any more."""

    freeze_tools: bool = False
    """Send the same tools in the order in which they were first sent, in mode ``cache``: a program that lists them in
    another order each time reads nothing from the cache (see docs/how-to/lint.md)."""

    cache_objects: bool = True
    """Create, prolong and end cache objects of the provider (Gemini's ``CachedContent``, which cost rent) where that pays,
    in mode ``cache`` (see docs/how-to/gemini-caches.md)."""

    recall_key: SecretStr | None = None
    """32 random bytes in Base64, by which texts that ``tidy.recall = "disk"`` keeps are encrypted; best given as
    ``CTXKIT_RECALL_KEY`` (see docs/how-to/recall.md)."""

    answers: Answers | None = None
    """Answer the very same request with the answer that it got before, without sending it (see docs/how-to/answers.md):
    ``True``, ``Answers(ttl=..., where=...)`` or a table of its options. Off by default."""

    answers_key: SecretStr | None = None
    """32 random bytes in Base64, by which answers that ``answers.where = "disk"`` keeps are encrypted; best given as
    ``CTXKIT_ANSWERS_KEY``."""

    shadow: bool = True
    """Say in the report what stronger modes would have saved: settled requests are planned a second time, while the
    application waits for answers, by a thread of their own (see docs/how-to/report.md). Nothing is sent."""

    drift: bool = True
    """Measure how far conversations drift, and what their noise costs: of settled requests, by a thread of its own (see
    docs/how-to/drift.md). Nothing is changed by it."""

    drift_at: float = Field(default=DRIFTING, gt=0, le=1)
    """Score from which on a conversation counts as drifting."""

    drift_lost_at: float = Field(default=LOST, gt=0, le=1)
    """Score from which on it counts as lost."""

    on_drift: Callable[[DriftEvent], object] | None = None
    """Told when a conversation comes to another level (``calm``, ``drifting``, ``lost``), once for each change, in the thread
    that measures. What it raises is counted and reaches nobody's request."""

    scope: str | None = None
    """Organisation, workspace or tenant whose provider caches and threads these are."""

    prices: Path | None = None
    """A TOML file of the user's own price rows (see docs/how-to/prices.md)."""

    cache_rules: Path | None = None
    """A TOML file of the user's own rows on how providers cache (see docs/how-to/cache-rules.md)."""

    cold_start_wait: float | None = Field(default=None, ge=0, le=600)
    """Seconds a request may wait at most while another one writes the cold prefix they share (see
    docs/how-to/cold-starts.md); 0: never. Unset: never in ``observe``, else 5."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    """Currency of reports; anything but USD needs ``usd_rate``."""

    usd_rate: Decimal | None = Field(default=None, gt=0)
    """How much of ``currency`` one US dollar is."""

    thread_memory: int = Field(default=30_000, ge=1_000)
    """Prefixes remembered per process to recognise a conversation by."""

    count_memory: int = Field(default=65_536, ge=1_000)
    """Messages whose token counts are remembered per process."""

    def __init__(self, **values: Any) -> None:
        if values.get("usage_probe") is None:
            values["usage_probe"] = values.get("mode", "observe") != "observe"
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(_advice(error)) from None

    @property
    def tidies(self) -> bool:
        """Contents of requests are made smaller."""
        return self.mode in ("lossless", "prune")

    @field_validator("answers", mode="before")
    @classmethod
    def _switched(cls, value: Any) -> Any:
        """A switch, as code or the environment writes one, stands for the defaults."""
        said = _SWITCHES.get(value.strip().lower(), value) if isinstance(value, str) else value
        return Answers() if said is True else None if said is False else said

    @field_validator("on_drift")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        """There is no event loop where it is called."""
        if iscoroutinefunction(value) or iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004
            raise ValueError(
                "wants a plain function: it is called in a thread (loop.call_soon_threadsafe goes on from it)"
            )
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Policy:
        if self.drift_lost_at < self.drift_at:
            raise ValueError(f"drift_lost_at ({self.drift_lost_at}) is below drift_at ({self.drift_at})")
        return self

    @model_validator(mode="after")
    def _rated(self) -> Policy:
        if self.currency != "USD" and self.usd_rate is None:
            raise ValueError(f"currency {self.currency} needs usd_rate: how much of it one US dollar is")
        return self

    @property
    def longest_wait(self) -> float:
        """``cold_start_wait``, or what holds in this mode when nothing is said."""
        if self.cold_start_wait is not None:
            return self.cold_start_wait
        return 0.0 if self.mode == "observe" else _WAIT

    @classmethod
    def load(cls, folder: str | Path | None = None, **values: Any) -> Policy:
        """The policy of files and environment, with ``values`` on top.

        Args:
            folder: where the search for ``ctxkit.toml`` and ``pyproject.toml`` begins (default: working folder).
            values: override everything else.
        """
        return cls(**{**_from_files(Path(folder or Path.cwd())), **_from_environment(), **values})


_TABLES: dict[str, type[BaseModel]] = {"tidy": Tidy, "answers": Answers}


def _from_files(folder: Path) -> dict[str, Any]:
    for place in (folder, *folder.parents):
        own, project = place / "ctxkit.toml", place / "pyproject.toml"
        found = {**_table(project, "tool", "ctxkit"), **_table(own)}
        if found or own.is_file():
            return found
    return {}


def _table(file: Path, *keys: str) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        table: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        if keys:  # somebody else's file: a broken pyproject.toml is not ours to complain about
            return {}
        raise ConfigurationError(f"{file} cannot be read: {error}") from None
    for key in keys:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    return table if isinstance(table, dict) else {}


def decided_in(file: Path) -> dict[str, Any]:
    """What a TOML file decides: all of it, or ``[tool.ctxkit]`` of a ``pyproject.toml`` or its like.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no TOML.
    """
    found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    if file.name != "pyproject.toml" and "tool" not in found:
        return found
    tools = found.get("tool")
    own = tools.get("ctxkit") if isinstance(tools, dict) else None
    return own if isinstance(own, dict) else {}


def _from_environment() -> dict[str, str]:
    return {
        name: os.environ[f"CTXKIT_{name.upper()}"]
        for name in Policy.model_fields
        if os.environ.get(f"CTXKIT_{name.upper()}")
    }


def _advice(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            fields = _TABLES.get(str(problem["loc"][0]) if "." in name else "", Policy).model_fields
            lines.append(f"unknown option {name!r}; options: {', '.join(sorted(fields))}")
        elif not name:
            lines.append(problem["msg"].removeprefix("Value error, "))
        else:
            got = "" if name.endswith("_key") else f" (got {problem.get('input')!r:.80})"  # a key is not repeated
            lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}{got}")
    return "policy: " + "; ".join(lines)
