"""Texts that were removed: asked for by reference within their thread, for a limited time, in memory or on disk."""

import base64
import os
import secrets
import stat
import threading

import pytest

from ctxkit import ConfigurationError, Kit, Policy, StoreError, recall_tool
from ctxkit.caching.prefixes import Hasher
from ctxkit.editable import Fold, Piece, Stub
from ctxkit.faults import Faults
from ctxkit.hall.recall import TOOL, Recall, recallable
from ctxkit.hygiene.history import History
from ctxkit.hygiene.removed import removed

KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
TEXT = "the harbour opens at six \ud800 and closes at nine"  # half a surrogate, as JSON may hold


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def recall_of(clock, *, limit=10_000, **tidy):
    policy = Policy(mode="prune", tidy=tidy)
    return Recall(policy, Hasher(b"salt"), clock, Faults(strict=True), limit=limit)


def ref_of(recall, number):
    return recall.ref_of([bytes([number])] * 10, Stub((3, 0)))


def test_a_text_is_found_within_its_thread_only(clock):
    recall = recall_of(clock)
    ref = ref_of(recall, 1)
    recall.keep("one", ref, TEXT)
    assert recall.recall(ref, "one") == TEXT
    for thread in ("two", "", None, "o"):
        with pytest.raises(StoreError):
            recall.recall(ref, thread)


def test_what_another_thread_has_is_refused_in_the_words_for_what_nobody_has(clock):
    recall = recall_of(clock)
    ref = ref_of(recall, 1)
    with pytest.raises(StoreError) as nobody:
        recall.recall(ref, "two")
    recall.keep("one", ref, TEXT)
    with pytest.raises(StoreError) as another:
        recall.recall(ref, "two")
    assert str(nobody.value) == str(another.value)


@pytest.mark.parametrize(
    "ref", ["", "r_", "the password", "r_ABCDEFGH23456789", "r_" + "a" * 10**6, None, 7, ["r_"], "\ud800"]
)
def test_garbage_of_a_model_is_refused_and_not_repeated(clock, ref):
    with pytest.raises(StoreError, match="no reference of a removed text") as error:
        recall_of(clock).recall(ref, "one")
    assert "password" not in str(error.value)


def test_a_text_has_a_time_to_live_that_begins_anew_with_each_use(clock):
    recall = recall_of(clock, recall_ttl=100)
    ref = ref_of(recall, 1)
    recall.keep("one", ref, TEXT)
    clock.now += 99
    assert recall.recall(ref, "one") == TEXT
    clock.now += 99
    recall.keep("one", ref, lambda: pytest.fail("is known"))
    clock.now += 99
    assert recall.recall(ref, "one") == TEXT
    clock.now += 100
    with pytest.raises(StoreError, match="more than 100 s ago"):
        recall.recall(ref, "one")
    recall.flush()
    assert not recall._kept
    assert recall._bytes == 0


def test_memory_is_bounded_in_bytes_and_the_oldest_go(clock):
    recall = recall_of(clock, limit=10_000)
    refs = [ref_of(recall, number) for number in range(20)]
    for ref in refs:
        recall.keep("one", ref, "x" * 1_000)
    assert recall._bytes <= 10_000
    assert recall.find(refs[0], "one") is None
    assert recall.find(refs[-1], "one")
    recall.keep("one", refs[0], "y" * 20_000)  # never fits, and pushes nothing out
    assert recall.find(refs[0], "one") is None
    assert recall.find(refs[-1], "one")


def test_off_keeps_nothing(clock):
    recall = recall_of(clock, recall="off")
    recall.keep("one", ref_of(recall, 1), TEXT)
    assert not recall._kept
    with pytest.raises(ConfigurationError, match='recall="off"'):
        recall.recall(ref_of(recall, 1), "one")


def test_references_differ_by_salt_prefix_and_place_and_are_the_same_elsewhere(clock):
    chain = [bytes([number]) * 16 for number in range(6)]
    one, same, other = recall_of(clock), recall_of(clock), Recall(Policy(), Hasher(b"other"), clock, Faults())
    actions = [Stub((3, 0)), Stub((3, 1)), Stub((4, 0)), Fold(3, 5), Fold(2, 5), Fold(3, 4)]
    refs = [one.ref_of(chain, action) for action in actions]
    assert len(set(refs)) == len(actions)
    assert refs == [same.ref_of(chain[:-1], action) for action in actions]  # what follows changes nothing
    assert not set(refs) & {other.ref_of(chain, action) for action in actions}
    assert all(len(ref) == 18 and ref.startswith("r_") for ref in refs)


def test_threads_may_keep_and_ask_at_once(clock):
    recall, refs = recall_of(clock, limit=20_000), None
    refs, failed = [ref_of(recall, number) for number in range(50)], []

    def work():
        try:
            for ref in refs * 5:
                recall.keep("one", ref, "x" * 700)
                recall.find(ref, "one")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert recall._bytes == sum(one.size for one in recall._kept.values()) <= 20_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent(clock):
    recall = recall_of(clock)
    ref = ref_of(recall, 1)
    recall.keep("one", ref, TEXT)
    with recall._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if recall.find(ref, "one") == TEXT else 1)
    assert os.waitpid(child, 0)[1] == 0


# ---- What is removed, as text


def test_a_fold_is_told_with_who_said_it():
    pieces = [
        Piece(0, 0, "text", "user", (), "open?"),
        Piece(1, 0, "arguments", "assistant", (), '{"day":1}', pair="a", name="tides"),
        Piece(2, 0, "result", "tool", (), "low at six", pair="a"),
        Piece(3, 0, "text", "assistant", (), "At six."),
    ]
    told = removed(History(pieces, 4), Fold(0, 4))
    assert told == 'user:\nopen?\n\ncall of tides:\n{"day":1}\n\nresult of tides:\nlow at six\n\nassistant:\nAt six.'
    assert removed(History(pieces, 4), Stub((2, 0))) == "low at six"
    assert removed(History(pieces, 4), Stub((9, 9))) == ""


# ---- The tool


@pytest.mark.parametrize(
    ("dialect", "request_of"),
    [
        ("openai.chat", lambda tool: {"messages": [], "tools": [tool]}),
        ("openai.responses", lambda tool: {"input": [], "tools": [tool]}),
        ("anthropic.messages", lambda tool: {"messages": [], "tools": [tool]}),
        ("gemini.generate", lambda tool: {"contents": [], "tools": [tool]}),
        ("bedrock.converse", lambda tool: {"messages": [], "toolConfig": {"tools": [tool]}}),
    ],
)
def test_the_tool_is_seen_in_every_dialect(dialect, request_of):
    from ctxkit import dialects

    view = dialects.get(dialect).view
    assert recallable(view({"model": "m", **request_of(recall_tool(dialect))}))
    assert not recallable(view({"model": "m", **request_of({"name": "other", "type": "function"})}))
    assert TOOL in str(recall_tool(dialect))


def test_a_dialect_without_tools_says_so():
    with pytest.raises(ConfigurationError, match="no tools in dialect 'openai.embeddings'"):
        recall_tool("openai.embeddings")


# ---- In the hall


def said(turns):
    yield {"role": "user", "content": "Find the bug in the harbour code."}
    for turn in range(turns):
        call = {"type": "tool_use", "id": f"t{turn}", "name": "read_file", "input": {"path": f"src/f{turn}.py"}}
        text = "\n".join(f"line {turn}-{line} of something else {turn * line}" for line in range(300))
        yield {"role": "assistant", "content": [call]}
        yield {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"t{turn}", "content": text}]}


def body(turns, *, tools=()):
    return {
        "model": "claude-opus-5",
        "max_tokens": 50,
        "system": "You read code. " * 300,
        "messages": list(said(turns)),
        **({"tools": list(tools)} if tools else {}),
    }


def planned(kit, request, **options):
    return kit.plan(request, dialect="anthropic.messages", platform="anthropic", feature="x", **options)


def driven(kit, clock, turns=20, **options):
    """A conversation in which something is removed; the last plan."""
    plan = None
    for turn in range(1, turns):
        clock.now += 20
        plan = planned(kit, body(turn, **options))
        usage = {"input_tokens": 10, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 5}
        kit.settle(plan, {"id": "m", "model": "claude-opus-5", "usage": usage})
    assert plan.tidied.refs
    return plan


def texts_of(request):
    return [
        block["content"] for message in request["messages"][1:] for block in message["content"] if "content" in block
    ]


def test_what_a_request_is_sent_without_can_be_asked_for(clock):
    kit = Kit(Policy(mode="prune"), clock=clock, strict=True)
    plan = driven(kit, clock)
    originals = texts_of(body(19))
    found = [kit.recall(ref, thread=plan.thread) for ref in plan.tidied.refs]
    assert set(found) <= set(originals)
    assert not set(found) & set(texts_of(plan.body))
    with pytest.raises(StoreError):
        kit.recall(plan.tidied.refs[0], thread="another")


def test_a_preview_keeps_nothing(clock):
    kit = Kit(Policy(mode="prune"), clock=clock, strict=True)
    plan = driven(kit, clock)
    kit.rooms.recall._kept.clear()
    planned(kit, body(20))
    assert not kit.rooms.recall._kept
    assert plan.tidied.refs


def test_stubs_name_the_tool_only_when_it_is_offered(clock):
    without = driven(Kit(Policy(mode="prune"), clock=clock, strict=True), clock)
    offered = driven(
        Kit(Policy(mode="prune"), clock=clock, strict=True), clock, tools=[recall_tool("anthropic.messages")]
    )
    assert TOOL not in str(without.body["messages"])
    assert f'{TOOL}("{offered.tidied.refs[0]}")' in str(texts_of(offered.body))


def test_a_restart_is_filled_again_by_the_next_request(clock, tmp_path):
    kit = Kit(Policy(mode="prune"), store=tmp_path, clock=clock, strict=True)
    before = driven(kit, clock)
    kit.close()
    again = Kit(Policy(mode="prune"), store=tmp_path, clock=clock, strict=True)
    with pytest.raises(StoreError):
        again.recall(before.tidied.refs[0], thread=before.thread)
    plan = planned(again, body(20))
    again.sent(plan)
    assert set(before.tidied.refs) <= set(plan.tidied.refs)
    assert again.recall(before.tidied.refs[0], thread=plan.thread) in texts_of(body(20))


def test_a_fork_under_a_name_of_its_own_may_ask_for_what_its_prefix_lost(clock):
    kit = Kit(Policy(mode="prune"), clock=clock, strict=True)
    plan = driven(kit, clock)
    fork = body(19)
    fork["messages"] += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "Another way?"}]
    parted = planned(kit, fork, thread="fork")
    kit.sent(parted)
    assert parted.thread == "fork" != plan.thread
    ref = plan.tidied.refs[0]
    assert ref in parted.tidied.refs
    assert kit.recall(ref, thread="fork") == kit.recall(ref, thread=plan.thread)


# ---- On disk


def on_disk(folder, clock, **options):
    policy = Policy(mode="prune", tidy={"recall": "disk", "recall_ttl": 100}, **options)
    return Kit(policy, store=folder, clock=clock, strict=True)


def bytes_in(folder):
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_disk_is_read_by_another_process_until_the_time_is_over(clock, tmp_path):
    kit = on_disk(tmp_path, clock)
    plan = driven(kit, clock)
    kit.close()
    ref, again = plan.tidied.refs[0], on_disk(tmp_path, clock)
    clock.now += 80
    assert again.recall(ref, thread=plan.thread) in texts_of(body(20))
    with pytest.raises(StoreError, match="nothing is kept"):
        again.recall(ref, thread="another")
    again.close()
    clock.now += 101
    late = on_disk(tmp_path, clock)
    with pytest.raises(StoreError, match="nothing is kept"):
        late.recall(ref, thread=plan.thread)
    late.close()
    folder = tmp_path / "recall"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in folder.iterdir() if file.is_file())


def test_memory_writes_no_text_to_the_disk(clock, tmp_path):
    kit = Kit(Policy(mode="prune"), store=tmp_path, clock=clock, strict=True)
    driven(kit, clock)
    kit.close()
    assert b"of something else" not in bytes_in(tmp_path)


def test_with_a_key_no_text_can_be_read_from_the_file(clock, tmp_path):
    pytest.importorskip("cryptography", reason="the extra ctxkit[encryption] is not installed")
    kit = on_disk(tmp_path / "plain", clock)
    driven(kit, clock)
    kit.close()
    assert b"of something else" in bytes_in(tmp_path / "plain")
    kit = on_disk(tmp_path / "sealed", clock, recall_key=KEY)
    plan = driven(kit, clock)
    kit.close()
    assert b"of something else" not in bytes_in(tmp_path / "sealed")
    again = on_disk(tmp_path / "sealed", clock, recall_key=KEY)
    assert "of something else" in again.recall(plan.tidied.refs[0], thread=plan.thread)
    again.close()
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    for key, words in ((other, "another key"), (None, "CTXKIT_RECALL_KEY")):
        wrong = on_disk(tmp_path / "sealed", clock, recall_key=key)
        with pytest.raises(StoreError, match=words):
            wrong.recall(plan.tidied.refs[0], thread=plan.thread)
        wrong.close()


@pytest.mark.parametrize("key", ["", "a-password", "A" * 44, base64.b64encode(b"x" * 16).decode(), "\u00fc" * 44])
def test_a_key_of_another_form_is_refused_and_not_repeated(key, tmp_path, clock):
    with pytest.raises(ConfigurationError, match="32 random bytes in Base64") as error:
        on_disk(tmp_path, clock, recall_key=key)
    assert not key or key not in str(error.value)


def test_a_key_is_never_shown():
    assert KEY not in repr(Policy(recall_key=KEY))


def test_disk_needs_a_folder(clock):
    with pytest.raises(ConfigurationError, match="needs a folder"):
        Kit(Policy(tidy={"recall": "disk"}), store=None, clock=clock)


def test_a_disk_that_fails_leaves_texts_in_memory(clock, tmp_path):
    policy = Policy(mode="prune", tidy={"recall": "disk"})

    class Broken:
        def put(self, *_):
            raise StoreError("no space left")

        def get(self, *_):
            raise StoreError("no space left")

    recall = Recall(policy, Hasher(b"salt"), clock, faults := Faults(), Broken())
    ref = ref_of(recall, 1)
    recall.keep("one", ref, TEXT)
    assert recall.recall(ref, "one") == TEXT
    assert faults.counts["recall: StoreError"] == 1
    with pytest.raises(StoreError, match="no space left"):
        recall.recall(ref_of(recall, 2), "one")


def test_what_was_recalled_is_sent_whole_and_not_as_a_pointer_to_its_stub(clock):
    kit = Kit(Policy(mode="prune"), clock=clock, strict=True)
    tool = recall_tool("anthropic.messages")
    plan = driven(kit, clock, tools=[tool])
    ref = plan.tidied.refs[0]
    text = kit.recall(ref, thread=plan.thread)
    asked = {"type": "tool_use", "id": "recall-1", "name": TOOL, "input": {"ref": ref}}
    result = {"type": "tool_result", "tool_use_id": "recall-1", "content": text}
    for turns in (19, 20):
        clock.now += 20
        again = body(turns, tools=[tool])
        exchange = [{"role": "assistant", "content": [asked]}, {"role": "user", "content": [result]}]
        again["messages"][39:39] = exchange  # right behind what was said when it was asked for
        found = planned(kit, again)
        kit.sent(found)
        [sent] = [
            block["content"]
            for message in found.body["messages"]
            for block in message["content"]
            if isinstance(block, dict) and block.get("tool_use_id") == "recall-1"
        ]
        assert sent == text
        assert text not in [one for one in texts_of(found.body) if one is not sent]
