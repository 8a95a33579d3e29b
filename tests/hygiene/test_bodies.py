"""Every recorded request and conversation, tidied: its provider would accept it as far as it accepted the original.

Held by two judges: the rules of ``structure`` and the request types of the SDKs. Bodies are tidied twice: by a kit, as a
request that finds nothing in a cache, and by taking out everything that the guards allow, whether it pays or not.
"""

from __future__ import annotations

import json
import lzma
import re
from collections import Counter
from itertools import islice

import pytest

from ctxkit import Kit, Policy, dialects
from ctxkit.errors import ProviderShapeError
from ctxkit.replay.threads import chained, read_threads
from tests.dialects.test_texts import DIALECTS
from tests.hygiene.sdk_types import refused
from tests.hygiene.structure import worse
from tests.hygiene.wires import body_of, everything

pytestmark = pytest.mark.slow

PLATFORMS = {
    "openai.chat": "openai",
    "openai.responses": "openai",
    "anthropic.messages": "anthropic",
    "gemini.generate": "google",
    "bedrock.converse": "bedrock",
}
MODELS = {"gemini.generate": "gemini-2.5-pro"}  # its wire does not say
ELIDED = re.compile(r'__elided:[^"\\]*')
every_dialect = pytest.mark.parametrize("name", dialects.EDITABLE)
THREADS = ["tau_bench_airline", "swe_agent_demos", "openhands", "aider_chats", "mint"]


@pytest.fixture(scope="module")
def bodies(recorded):
    """Recorded requests by dialect; those whose history the provider holds are left out, and those of other formats."""
    found = {name: [] for name in dialects.EDITABLE}
    with lzma.open(recorded / "exchanges" / "requests.jsonl.xz", "rt", encoding="utf-8") as file:
        for line in file:
            record = json.loads(ELIDED.sub("AAAA", line))
            name = DIALECTS.get(record["endpoint"])
            try:
                if name and dialects.get(name).view(record["request"]).server_history is None:
                    found[name].append((record["request"], record["model"]))
            except ProviderShapeError:
                continue
    return found


@pytest.fixture(scope="module")
def threads(recorded):
    """Conversations, and some of them one after another, so that something is finished in each."""
    found = []
    for name in THREADS:
        some = list(islice(read_threads(recorded / "threads" / f"{name}.jsonl.xz"), 60))
        found += [*some[:20], *(chained(some[at : at + 4]) for at in range(0, len(some) - 3, 8))]
    assert found
    return found


@pytest.fixture(params=["lossless", "prune"])
def kit(request):
    kit = Kit(strict=True, policy=Policy(mode=request.param))
    yield kit
    kit.close()


def judged(original, edited, name):
    """What is wrong with the edited body and was not with the original."""
    found = worse(original, edited, name)
    if (why := refused(edited, name)) is not None and refused(original, name) is None:
        found.append(why)
    return found


def planned(kit, body, name, model):
    return kit.plan(body, dialect=name, platform=PLATFORMS[name], model=model)


@every_dialect
def test_planned_requests_are_accepted_as_the_originals_were(kit, bodies, name):
    changed = 0
    for body, model in bodies[name]:
        plan = planned(kit, body, name, model)
        if plan.body is not body:
            changed += any(edit.by for edit in plan.edits)
            assert judged(body, plan.body, name) == []
    assert changed or name == "openai.responses"  # those recorded are short and fresh


@every_dialect
def test_requests_with_everything_gone_are_accepted_as_the_originals_were(bodies, name):
    changed = 0
    for body, _ in bodies[name]:
        edited = everything(body, name)
        if edited is not body:
            changed += 1
            assert judged(body, edited, name) == []
    assert changed


@every_dialect
def test_planned_threads_are_accepted_as_the_originals_were(kit, threads, name):
    seen = Counter()
    for thread in threads:
        body = body_of(name, thread.messages, thread.tools)
        plan = planned(kit, body, name, body.get("model", MODELS.get(name)))
        assert judged(body, plan.body, name) == []
        seen.update(edit.by for edit in plan.edits if edit.by)
    assert seen["compact"]


@every_dialect
def test_threads_with_everything_gone_are_accepted_as_the_originals_were(threads, name):
    before = after = 0
    for thread in threads:
        body = body_of(name, thread.messages, thread.tools)
        edited = everything(body, name)
        assert judged(body, edited, name) == []
        before, after = before + len(json.dumps(body)), after + len(json.dumps(edited))
    assert after < 0.5 * before


@every_dialect
def test_requests_of_a_thread_are_sound_turn_by_turn(threads, name):
    """Caches go cold now and then, so that what is over goes; what leaves, planned again, is left as it is."""
    now = [1e9]
    seen = Counter()
    with_calls = [one for one in threads if len(one.calls) > 30][:4]
    kit = Kit(strict=True, policy=Policy(mode="prune"), clock=lambda: now[0])
    for number, end in [(number, end) for number, thread in enumerate(with_calls) for end in thread.calls]:
        now[0] += 4000 if end % 9 == 0 else 20
        body = body_of(name, with_calls[number].messages[:end], with_calls[number].tools)
        plan = planned(kit, body, name, body.get("model", MODELS.get(name)))
        assert worse(body, plan.body, name) == []
        assert planned(kit, plan.body, name, plan.model).body == plan.body
        seen.update(edit.by for edit in plan.edits)
        kit.sent(plan)
    kit.close()
    assert seen["episodes"] + seen["spent"] + seen["stale"]
