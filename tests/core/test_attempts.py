"""Retries are attempts of one operation; other requests are operations of their own."""

import asyncio
import contextvars
import os

import pytest

from ctxkit.attempts import Attempts
from ctxkit.metering.settling import opening
from ctxkit.model import Plan


@pytest.fixture(autouse=True)
def own_context():
    """Every test begins in a context that sent nothing."""
    Attempts().resume(None)


def planned(attempts, attempt, fingerprint=b"f"):
    plan = Plan(body={"x": 1}, attempt=attempt, operation=attempt, fingerprint=fingerprint)
    operation, number = attempts.operation(plan, fingerprint)
    return Plan(body={"x": 1}, attempt=attempt, operation=operation, number=number, fingerprint=fingerprint)


def begin(attempts, plan):
    return attempts.begin(plan, opening(plan))


def test_the_same_request_after_a_failure_is_a_retry():
    attempts = Attempts()
    first = planned(attempts, "a")
    assert begin(attempts, first) is None
    attempts.fail(first)
    second = planned(attempts, "b")
    assert (second.operation, second.number) == ("a", 2)
    assert begin(attempts, second) is None, "its failure was told: nothing is stranded"
    assert attempts.succeed(second)
    third = planned(attempts, "c")
    assert (third.operation, third.number) == ("c", 1)


def test_a_failure_nobody_told_is_given_back_once_by_its_retry():
    attempts = Attempts()
    begin(attempts, planned(attempts, "a"))
    stranded = begin(attempts, planned(attempts, "b"))
    assert stranded.attempt == "a"
    assert begin(attempts, planned(attempts, "c")).attempt == "b"


def test_another_request_is_another_operation():
    attempts = Attempts()
    first = planned(attempts, "a")
    begin(attempts, first)
    attempts.fail(first)
    assert planned(attempts, "b", b"other").number == 1


def test_another_context_is_another_operation():
    attempts = Attempts()
    fresh = contextvars.copy_context()
    first = planned(attempts, "a")
    begin(attempts, first)
    attempts.fail(first)
    assert fresh.run(planned, attempts, "b").number == 1


async def test_tasks_do_not_retry_for_each_other():
    attempts = Attempts()

    async def call(name):
        plan = planned(attempts, name)
        begin(attempts, plan)
        await asyncio.sleep(0)
        attempts.fail(plan)
        return plan.number

    assert await asyncio.gather(call("a"), call("b"), call("c")) == [1, 1, 1]


def test_success_is_counted_once():
    attempts = Attempts()
    plan = planned(attempts, "a")
    begin(attempts, plan)
    assert plan.attempt in attempts
    assert attempts.succeed(plan)
    assert not attempts.succeed(plan)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_sent_nothing():
    attempts = Attempts()
    begin(attempts, planned(attempts, "a"))
    child = os.fork()
    if child == 0:
        os._exit(7 if "a" not in attempts else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert "a" in attempts
