"""Lint: what is found, where, what it costs; and what is no finding."""

import copy

import pytest

from ctxkit import ConfigurationError, Kit
from ctxkit.caching.lint import RULES
from ctxkit.caching.lint.volatile import volatile_text

LONG = "Follow these rules of the house with care. " * 300
TOOLS = [
    {"name": name, "description": f"Does {name}.", "input_schema": {"type": "object", "properties": {"a": {}, "b": {}}}}
    for name in ("read", "write", "search")
]


@pytest.fixture
def kit():
    with_nothing = Kit(store=None, ledger=None, strict=True)
    yield with_nothing
    with_nothing.close()


def user(text="What is the weather?"):
    return {"role": "user", "content": text}


def said(text="It rains."):
    return {"role": "assistant", "content": text}


def claude(messages=None, **more):
    return {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": messages or [user()], **more}


def found(kit, *bodies, dialect="anthropic.messages", platform="anthropic", **more):
    return kit.lint(list(bodies), dialect=dialect, platform=platform, **more)


def rules(findings):
    return [one.rule for one in findings]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("It is 2026-11-21T08:15:00Z.", "a timestamp"),
        ("Started 2026-11-21 08:15", "a timestamp"),
        ("Today's date is 2026-11-21.", "the current date or time"),
        ("Today is Saturday, Nov 21", "the current date or time"),
        ("Current date: 21/11/2026", "the current date or time"),
        ("Session: 0b8f3f0e-6f1d-4a43-8a8e-2f3a5b6c7d8e", "a UUID"),
        ("request_id=req_8h2k9x1", "an id of its own"),
        ("now: 1763712000", "a Unix time"),
    ],
)
def test_what_looks_volatile(text, what):
    assert volatile_text("You are a helper. " + text)[0] == what


@pytest.mark.parametrize(
    "text",
    [
        "Your knowledge ends in 2024-06. Answer briefly.",
        "Version 1.2.3 of 2023-01-15 is supported; see RFC 3339.",
        "Pass the request id as the first argument.",
        "Use at most 1800000 rows and 24 hours.",
        "The session id is a string that the caller gives.",
        "Dates are written as YYYY-MM-DD.",
        "今日は何をしましょうか。",
        "",
    ],
)
def test_what_does_not(text):
    assert volatile_text(text) is None


def test_a_date_in_the_instructions(kit):
    [finding] = found(kit, claude(system="Today is 2026-11-21. " + LONG))
    assert (finding.rule, finding.path, finding.certain) == ("volatile-prefix", ("system",), False)
    assert finding.severity == "warning", "much of the prompt stands behind it"
    assert finding.cost > 0


def test_a_date_in_what_the_user_says_is_none(kit):
    assert found(kit, claude([user("It is 2026-11-21T08:15:00Z, what now?")], system="Be brief.")) == ()


def test_what_really_changed(kit):
    first = claude([user()], system=f"Counter 1. {LONG}")
    second = claude([user(), said(), user("And?")], system=f"Counter 2. {LONG}")
    [finding] = found(kit, first, second)
    assert finding.rule == "prefix-changed"
    assert finding.certain
    assert finding.source == "request 2"
    assert finding.tokens > 2_000


def test_a_conversation_that_goes_on_is_fine(kit):
    marked = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    bodies = [claude([user(), *[said(), user("More")] * turn], system=marked, tools=TOOLS) for turn in range(6)]
    assert found(kit, *bodies) == ()


def test_other_conversations_share_instructions_and_are_fine(kit):
    marked = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    assert found(kit, *(claude([user(f"Question {n}")], system=marked) for n in range(5))) == ()


def test_tools_in_another_order(kit):
    [finding] = found(kit, claude(tools=TOOLS), claude([user(), said(), user("More")], tools=TOOLS[::-1]))
    assert (finding.rule, finding.certain) == ("tool-order", True)


def test_keys_in_another_order(kit):
    other = copy.deepcopy(TOOLS)
    other[1]["input_schema"]["properties"] = {"b": {}, "a": {}}
    [finding] = found(kit, claude(tools=TOOLS), claude([user(), said(), user("More")], tools=other))
    assert finding.rule == "tool-keys"


def test_tools_that_come_and_go(kit):
    [finding] = found(kit, claude(tools=TOOLS), claude([user(), said(), user("More")], tools=TOOLS[:2]))
    assert finding.rule == "tools-changed"
    assert "removed: search" in finding.message


def test_a_large_tool_is_told_once(kit):
    big = [{**TOOLS[0], "description": "Reads a file with care. " * 500}]
    marked = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    bodies = [claude([user(), *[said(), user("More")] * turn], tools=big, system=marked) for turn in range(3)]
    assert rules(found(kit, *bodies)) == ["large-tool"]


def test_parameters(kit):
    first = claude([user()], system=LONG, tools=TOOLS)
    second = claude([user(), said(), user("More")], system=LONG, tools=TOOLS, tool_choice={"type": "any"})
    assert "parameters-changed" in rules(found(kit, first, second))


def test_markers_that_cannot_pay(kit):
    short = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    [finding] = found(kit, claude(system=short))
    assert finding.rule == "marker-below-minimum"
    assert "1,024" in finding.message


def test_markers_that_are_refused(kit):
    five = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}} for _ in range(5)]
    assert "marker-refused" in rules(found(kit, claude(system=five)))


def test_a_marker_on_what_changes(kit):
    dated = [{"type": "text", "text": f"Today is 2026-11-21. {LONG}", "cache_control": {"type": "ephemeral"}}]
    assert rules(found(kit, claude(system=dated))) == ["volatile-prefix", "marker-on-volatile"]


def test_more_blocks_than_are_looked_back(kit):
    def marked(blocks):
        last = {**blocks[-1], "cache_control": {"type": "ephemeral"}}
        return [{"role": "user", "content": [*blocks[:-1], last]}]

    blocks = [{"type": "text", "text": f"{number} {LONG}"} for number in range(30)]
    assert rules(found(kit, claude(marked(blocks[:5])), claude(marked(blocks[:25])))) == ["lookback-exceeded"]
    assert rules(found(kit, claude(marked(blocks[:5])), claude(marked(blocks[:24])))) == []


def test_nothing_asks_for_a_cache(kit):
    bodies = [claude([user(), *[said(), user("More")] * turn], system=LONG) for turn in range(2)]
    assert rules(found(kit, *bodies)) == ["not-marked"]


def test_automatic_caches_need_no_markers(kit):
    bodies = [
        {
            "model": "gpt-4o",
            "messages": [{"role": "system", "content": LONG}, user(), *[said(), user("More")] * turn],
        }
        for turn in range(3)
    ]
    assert found(kit, *bodies, dialect="openai.chat", platform="openai") == ()


def test_one_person_before_all(kit):
    system = [{"type": "text", "text": "The user's name is Ada, ada@example.org."}, {"type": "text", "text": LONG}]
    assert rules(found(kit, claude(system=system))) == ["personal-before-shared"]
    assert rules(found(kit, claude(system=system[::-1]))) == []


def test_a_picture_that_is_encoded_again(kit):
    def picture(data):
        return {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
                {"type": "text", "text": "What is this? " + LONG},
            ],
        }

    first = claude([picture("iVBORw0KGgo=")])
    second = claude([picture("iVBORw0KGgp="), said(), user("And?")])
    assert "image-changed" in rules(found(kit, first, second))


def test_unknown_prices_are_unknown(kit):
    body = {
        "model": "nobody-knows",
        "messages": [{"role": "system", "content": "Today is 2026-11-21. " + LONG}, user()],
    }
    [finding] = found(kit, body, dialect="openai.chat", platform="unknown")
    assert finding.cost is None
    assert finding.tokens > 0


def test_checks_can_be_left_out(kit):
    assert found(kit, claude(system="Today is 2026-11-21. " + LONG), ignore={"volatile-prefix"}) == ()
    with pytest.raises(ConfigurationError, match="no check is called nonsense"):
        found(kit, claude(), ignore={"nonsense"})


def test_every_check_is_told_of():
    assert all(about for about in RULES.values())


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": []}, {"messages": [{"role": "user"}]}, 5, None])
def test_strange_bodies_break_nothing(body):
    lenient = Kit(store=None, ledger=None)
    assert lenient.lint(body, dialect="anthropic.messages", platform="anthropic") == ()
    lenient.close()
