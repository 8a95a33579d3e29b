"""For pytest: prompts that stay cacheable and within their budgets.

Loaded by pytest itself (entry point ``pytest11``); imports nothing heavy until a test asks for the ``ctxkit`` fixture::

    def test_support_prompt(ctxkit):
        client = ctxkit.wrap(OpenAI(base_url=provider.openai_url, api_key="none"))
        answer_ticket(client, "My parcel is late.")
        ctxkit.assert_within(tokens=3_000, usd="0.01")
        ctxkit.assert_budget()                              # against the committed snapshot
        ctxkit.assert_cache_stable()                        # each request goes on from the one before

Budgets are kept in ``ctxkit_budgets.json`` beside pytest's configuration (ini option ``ctxkit_budgets``), sorted, one
figure per test. ``pytest --ctxkit-update`` writes them; ``ctxkit_tolerance`` (per cent, default 5) is how far a prompt
may grow before the test fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctxkit.kit import Kit
    from ctxkit.model import Plan, Record

__all__ = ["Prompts", "assert_cache_stable", "assert_within"]

_FILE = "ctxkit_budgets.json"
_UPDATE = "--ctxkit-update"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    group = parser.getgroup("ctxkit", "prompt budgets")
    group.addoption(_UPDATE, action="store_true", help="write the prompt budgets that tests measured")
    parser.addini("ctxkit_budgets", f"file of the prompt budgets (default: {_FILE})", default=_FILE)
    parser.addini("ctxkit_tolerance", "per cent by which a prompt may grow (default: 5)", default="5")


@pytest.fixture(name="ctxkit")
def _ctxkit(request: pytest.FixtureRequest) -> Iterator[Prompts]:
    """A strict kit of its own, and what was planned and settled with it."""
    from ctxkit.kit import Kit

    kit = Kit(store=None, ledger=None, strict=True)
    prompts = Prompts(kit, _Budgets.of(request.config), request.node.nodeid)
    try:
        yield prompts
    finally:
        kit.close()


class Prompts:
    """What one test sends, and what is asserted of it.

    Args:
        kit: meters the clients of the test.
        budgets: the committed figures.
        name: of the test.

    Attributes:
        kit: for everything that is not repeated here.
        records: what was settled, in order.
        plans: what was sent, in order.
    """

    def __init__(self, kit: Kit, budgets: _Budgets, name: str) -> None:
        self.kit = kit
        self.records: list[Record] = []
        self.plans: list[Plan] = []
        self._budgets = budgets
        self._name = name
        kit.listeners.append(self.records.append)
        self._sent = kit.sent
        kit.sent = self._note  # type: ignore[method-assign]  # the only place where each plan passes once

    def _note(self, plan: Plan) -> None:
        if all(plan.attempt != other.attempt for other in self.plans):
            self.plans.append(plan)
        self._sent(plan)

    def wrap(self, client: Any, *, platform: str | None = None) -> Any:
        """Meter a client; see :meth:`ctxkit.Kit.wrap`."""
        return self.kit.wrap(client, platform=platform)

    def plan(self, body: Any, **options: Any) -> Plan:
        """Weigh a request that is not sent, and count it; see :meth:`ctxkit.Kit.plan`."""
        plan = self.kit.plan(body, **options)
        self.plans.append(plan)
        return plan

    def assert_within(self, *, tokens: int | None = None, usd: str | float | Decimal | None = None) -> None:
        """All prompts of this test together stay within so many tokens and so much money."""
        assert_within(self.plans, self.records, tokens=tokens, usd=usd)

    def assert_cache_stable(
        self, requests: Sequence[Any] | None = None, *, dialect: str | None = None, platform: str = ""
    ) -> None:
        """Each request keeps what the one before sent; see :func:`assert_cache_stable`."""
        if requests is None:
            plans = self.plans
        elif dialect is None:
            raise TypeError("assert_cache_stable(requests) wants dialect=, as in 'openai.chat'")
        else:
            plans = [self.kit.plan(one, dialect=dialect, platform=platform, fixed=True) for one in requests]
        _assert_stable(plans)

    def assert_budget(self, name: str = "") -> None:
        """The prompts are no larger than the committed snapshot says, by more than the tolerance.

        Args:
            name: tells apart several budgets of one test.
        """
        key = f"{self._name}::{name}" if name else self._name
        self._budgets.check(key, _tokens(self.plans, self.records))


def assert_cache_stable(requests: Sequence[Any], *, dialect: str, platform: str = "", model: str | None = None) -> None:
    """Each request keeps, from its first word on, what the one before sent: a provider's cache can read it.

    Args:
        requests: request bodies in the order in which they are sent.
        dialect: their wire format.
        platform: who serves them.
        model: where the bodies do not carry it.

    Raises:
        AssertionError: naming the first part that differs, with lengths and the text around the difference.
    """
    from ctxkit.kit import Kit

    kit = Kit(store=None, ledger=None, strict=True)
    with contextlib.closing(kit):
        options: dict[str, Any] = {"dialect": dialect, "platform": platform, "model": model, "fixed": True}
        _assert_stable([kit.plan(one, **options) for one in requests])


def assert_within(
    plans: Sequence[Plan],
    records: Sequence[Record] = (),
    *,
    tokens: int | None = None,
    usd: str | float | Decimal | None = None,
) -> None:
    """Prompts stay within so many tokens, and cost no more than so much.

    Args:
        plans: what was planned; estimates count where nothing was settled.
        records: what was settled.
        tokens: of all prompts together.
        usd: of all requests together, answers included where they were settled.

    Raises:
        AssertionError: it was more, or the cost cannot be known.
    """
    __tracebackhide__ = True
    used = _tokens(plans, records)
    if tokens is not None and used > tokens:
        pytest.fail(f"the prompts take {used:,} tokens, {used - tokens:,} more than the {tokens:,} allowed")
    if usd is not None:
        cost, allowed = _cost(plans, records), Decimal(str(usd))
        if cost is None:
            pytest.fail("the cost cannot be known: a model has no price (ctxkit prices MODEL)")
        if cost > allowed:
            pytest.fail(f"the requests cost ${cost:f}, more than the ${allowed:f} allowed")


def _tokens(plans: Sequence[Plan], records: Sequence[Record]) -> int:
    """Reported tokens where there are any, else the estimate."""
    settled = {record.attempt: record for record in records}
    total = 0
    for plan in plans:
        record = settled.get(plan.attempt)
        reported = record.usage.input_total if record is not None and record.usage is not None else None
        total += reported if reported is not None else plan.estimate.input_tokens if plan.estimate else 0
    return total


def _cost(plans: Sequence[Plan], records: Sequence[Record]) -> Decimal | None:
    from ctxkit.money import EXACT

    settled = {record.attempt: record for record in records}
    total = Decimal(0)
    for plan in plans:
        record = settled.get(plan.attempt)
        cost = record.cost if record is not None else plan.estimate.cost.expected if plan.estimate else None
        if cost is None:
            return None
        total = EXACT.add(total, cost)
    return total


def _assert_stable(plans: Sequence[Plan]) -> None:
    __tracebackhide__ = True
    from ctxkit.hall.linting import first_change

    for number, (before, after) in enumerate(itertools.pairwise(plans), 2):
        change = first_change(before, after)
        if change is not None:
            pytest.fail(f"request {number} breaks the cache of request {number - 1}: {change}")


class _Budgets:
    """The committed snapshot of one session."""

    def __init__(self, file: Path, tolerance: float, *, update: bool) -> None:
        self._file = file
        self._tolerance = tolerance
        self._update = update

    @classmethod
    def of(cls, config: pytest.Config) -> _Budgets:
        file = config.rootpath / str(config.getini("ctxkit_budgets"))
        given = str(config.getini("ctxkit_tolerance"))
        try:
            tolerance = float(given)
        except ValueError:
            raise pytest.UsageError(f"ctxkit_tolerance is per cent, as in 5; got {given!r}") from None
        return cls(file, tolerance, update=bool(config.getoption(_UPDATE)))

    def check(self, key: str, tokens: int) -> None:
        __tracebackhide__ = True
        if self._update:
            self._write(key, tokens)
            return
        allowed = self._read().get(key)
        if allowed is None:
            pytest.fail(f"no budget of {key} in {self._file}: run pytest {_UPDATE} and commit the file")
        if tokens > allowed * (1 + self._tolerance / 100):
            pytest.fail(
                f"the prompts take {tokens:,} tokens, {tokens / allowed - 1:+.1%} on the {allowed:,} of {self._file.name}; "
                f"{self._tolerance:g} % are tolerated. If that is meant: pytest {_UPDATE}"
            )

    def _read(self) -> Mapping[str, int]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise pytest.UsageError(f"{self._file} cannot be read: {error}; mend it, or delete it and update") from None
        if not isinstance(found, dict) or not all(isinstance(value, int) and value > 0 for value in found.values()):
            raise pytest.UsageError(f"{self._file} is no object of tests and tokens; mend it, or delete it and update")
        return found

    def _write(self, key: str, tokens: int) -> None:
        """Under a lock, because the workers of one run share the file."""
        with _locked(self._file):
            budgets = {**self._read(), key: tokens}
            text = json.dumps(dict(sorted(budgets.items())), indent=2, ensure_ascii=False) + "\n"
            new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            new.write_text(text, encoding="utf-8")
            new.replace(self._file)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    name = hashlib.sha256(str(file).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    lock = Path(tempfile.gettempdir()) / f"ctxkit-budgets-{name}.lock"
    try:
        import fcntl
    except ImportError:  # no such locks here: one worker at a time is the user's affair
        yield
        return
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
