"""What was read is stale once the same thing was written, edited or read anew; other things it is not."""

import json

import pytest

from ctxkit.editable import Stub
from ctxkit.hygiene.stale import Stale
from ctxkit.hygiene.touches import EVERYTHING, Touch, shell_touches, shown_in, touches_of
from tests.hygiene.threads import Thread, source


def proposed(thread, **options):
    return [one.action for one in Stale(**options)(thread.history)]


def touched(name, **arguments):
    (touch,) = touches_of(name, json.dumps(arguments))
    return touch


@pytest.mark.parametrize(
    ("name", "arguments", "touch"),
    [
        ("Read", {"file_path": "/w/a.py"}, Touch("read", "/w/a.py")),
        ("Read", {"file_path": "/w/a.py", "offset": 10, "limit": 5}, Touch("read", "/w/a.py", 10, 14)),
        ("read_file", {"target_file": "a.py", "start_line_one_indexed": 3}, Touch("read", "a.py", 3)),
        ("mcp__fs__read_text_file", {"path": "./b/../a.py"}, Touch("read", "a.py")),
        ("str_replace_editor", {"command": "view", "path": "/a.py", "view_range": [2, -1]}, Touch("read", "/a.py", 2)),
        ("str_replace_editor", {"command": "create", "path": "/a.py", "file_text": "x"}, Touch("write", "/a.py")),
        ("str_replace_editor", {"command": "str_replace", "path": "/a.py", "old_str": "x"}, Touch("edit", "/a.py")),
        ("str_replace_based_edit_tool", {"command": "insert", "path": "/a.py"}, Touch("edit", "/a.py")),
        ("Write", {"file_path": "a.py", "content": "x"}, Touch("write", "a.py")),
        ("write_to_file", {"path": "a.py", "content": "x"}, Touch("write", "a.py")),
        ("MultiEdit", {"file_path": "a.py", "edits": []}, Touch("edit", "a.py")),
        ("replace_in_file", {"path": "a.py", "diff": "x"}, Touch("edit", "a.py")),
        ("apply_patch", {"input": "*** Begin Patch\n*** Update File: a.py\n@@\n"}, Touch("edit", "a.py")),
        ("apply_patch", {"input": "*** Begin Patch\n*** Add File: a.py\n+x"}, Touch("write", "a.py")),
        ("shell", {"command": ["bash", "-lc", "cat a.py"]}, Touch("read", "a.py")),
        ("execute_bash", {"command": "cd /w && cat src/a.py"}, Touch("read", "/w/src/a.py")),
        ("run_terminal_cmd", {"command": "sed -n '1,20p' a.py"}, Touch("read", "a.py", 1, 20)),
        ("get_user", {"id": 7}, Touch("read", 'get_user {"id": 7}')),
        ("list_files", {"path": "src"}, Touch("read", 'list_files {"path": "src"}')),
        ("update_reservation", {"reservation_id": "X1"}, Touch("read", 'update_reservation {"reservation_id": "X1"}')),
    ],
)
def test_tools_are_known_by_name_and_arguments(name, arguments, touch):
    assert touched(name, **arguments) == touch


@pytest.mark.parametrize(
    ("command", "touches"),
    [
        ("cat a.py b.py", (Touch("read", "a.py"), Touch("read", "b.py"))),
        ("head -n 5 a.py", (Touch("read", "a.py", 1, 5),)),
        ("sed -i 's/a/b/' a.py", (Touch("edit", "a.py"),)),
        ("echo x > a.py", (Touch("write", "a.py"),)),
        ("echo x >> a.py", (Touch("edit", "a.py"),)),
        ("cat > a.py <<'EOF'\nimport os\nrm b.py\nEOF", (Touch("write", "a.py"),)),
        ("rm a.py; mv b.py c.py", (Touch("write", "a.py"), Touch("write", "c.py"))),
        ("git checkout main", (Touch("edit", EVERYTHING),)),
        ("git checkout -- a.py", (Touch("write", "a.py"),)),
        ("cat a.py | grep x", (Touch("read", "$ cat a.py | grep x"),)),
        ("pytest -q 2>/dev/null", (Touch("read", "$ pytest -q 2>/dev/null"),)),
        ("", (Touch("read", "$ "),)),
        ("> /dev/null", (Touch("read", "$ > /dev/null"),)),
        (">&2 echo done", (Touch("read", "$ >&2 echo done"),)),
        ("2> /dev/null cat a.py", (Touch("read", "$ 2> /dev/null cat a.py"),)),
        ("head -20 a.py", (Touch("read", "a.py", 1, 20),)),
        ("head -n² a.py", (Touch("read", "a.py", 1, 10),)),
        (f"head -n {'1' * 5_000} a.py", (Touch("read", "a.py", 1, 10),)),
        (f"sed -n {'1' * 5_000}p a.py", (Touch("read", f"$ sed -n {'1' * 5_000}p a.py"),)),
    ],
    ids=lambda given: given[:30] if isinstance(given, str) else "",
)
def test_commands_of_a_shell(command, touches):
    assert shell_touches(command) == touches


def test_a_read_is_overtaken_by_a_write_of_the_same_file():
    thread = Thread().user("Go.").calls("read_file", source("old"), path="src/a.py")
    thread.calls("write_file", "done", path="b.py", content="x")
    assert proposed(thread.steps(1)) == []
    thread.calls("write_file", "done", path="/work/src/a.py", content="x")
    assert proposed(thread.steps(1)) == [Stub((2, 0))]
    (found,) = Stale()(thread.history)
    assert "written anew" in found.reason


def test_a_read_is_overtaken_by_an_edit_after_some_steps():
    thread = Thread().user("Go.").calls("view", source("old"), path="a.py").calls("edit", "done", path="a.py", new="x")
    assert proposed(thread.steps(2)) == []
    assert proposed(thread.steps(3)) == [Stub((2, 0))]


def test_a_read_is_overtaken_by_a_read_that_shows_as_much_and_says_something_else():
    def read(second, **lines):
        thread = Thread().user("Go.").calls("read", source("old"), path="a.py", start_line=10, end_line=40)
        return thread.calls("read", second, path="a.py", **lines).steps(1)

    assert proposed(read(source("new"))) == [Stub((2, 0))]
    assert proposed(read(source("new"), start_line=1, end_line=40)) == [Stub((2, 0))]
    assert proposed(read(source("new"), start_line=20, end_line=60)) == []
    assert proposed(read(source("old") + "\nx = 1")) == [], "the newer one is sent as a pointer to the older one"
    assert proposed(read(source("old") + "\nx = 1"), repeats=False) == [Stub((2, 0))]


def test_the_same_call_again_overtakes_its_earlier_result():
    def state(status):
        return json.dumps([{"status": status, "item": f"{status}{number}"} for number in range(30)])

    thread = Thread().user("Go.").calls("get_order", state("open"), id=1).calls("get_order", state("open"), id=2)
    thread.calls("get_order", state("closed"), id=1).steps(1)
    assert proposed(thread) == [Stub((2, 0))]


def test_what_was_written_is_overtaken_by_the_next_write():
    thread = Thread().user("Go.").calls("write", "done", path="a.py", content=source("old"))
    thread.calls("write", "done", path="a.py", content=source("new")).steps(1)
    assert proposed(thread) == [Stub((1, 0))]


def test_what_failed_overtakes_nothing():
    thread = Thread().user("Go.").calls("read", source("old"), path="a.py")
    thread.calls("write", "no", failed=True, path="a.py", content="x").calls("write", "Error: denied", path="a.py")
    assert proposed(thread.steps(1)) == []


def test_another_commit_overtakes_every_file_and_a_search_none():
    thread = (
        Thread().user("Go.").calls("read", source("old"), path="a.py").calls("bash", source("b"), command="cat b.py")
    )
    thread.calls("bash", "a.py:3", command="grep -n old a.py b.py")
    assert proposed(thread.steps(5)) == []
    thread.calls("bash", "Switched", command="git checkout other")
    assert proposed(thread.steps(5)) == [Stub((2, 0)), Stub((4, 0))]


def test_other_tools_can_be_taught():
    def touch(name, arguments):
        kind = {"fetch_sheet": "read", "store_sheet": "write"}.get(name)
        return Touch(kind, arguments["sheet"]) if kind else None

    thread = Thread().user("Go.").calls("fetch_sheet", source("old"), sheet="Q1").calls("store_sheet", "ok", sheet="Q1")
    assert proposed(thread.steps(1)) == []
    assert proposed(thread, touch=touch) == [Stub((2, 0))]


def test_both_blocks_of_a_result_are_stale():
    thread = Thread().user("Go.").calls("read", source("old"), source("more"), path="a.py")
    thread.calls("write", "done", path="a.py", content="x").steps(1)
    assert proposed(thread) == [Stub((2, 0)), Stub((2, 1))]


def test_an_agent_without_tools():
    def window(name, first, count=40):
        lines = "\n".join(f"{number}:{name}_{number} = {number}" for number in range(first, first + count))
        return f"[File: /w/a.py (400 lines total)]\n{lines}\n(Open file: /w/a.py)\nbash-$"

    thread = Thread().user("Fix it.").says("```\nopen a.py\n```").user(window("one", 1))
    thread.says("```\ngoto 200\n```").user(window("two", 200)).says("```\ncat b.py\n```").user(source("b"))
    thread.says("```\necho x > b.py\n```").user("").says("```\nopen a.py\n```").user(window("three", 1, 80))
    thread.says("```\nls\n```").user("a.py b.py")
    assert proposed(thread) == [Stub((2, 0)), Stub((6, 0))]


def test_code_that_people_send_one_another_is_no_command():
    thread = Thread().user("How?")
    for number in range(6):
        thread.says(f"So:\n```\ncat part{number}.py\n```" if number % 2 else "Ask me more.").user(
            source("x" * number + "a")
        )
    assert proposed(thread) == []


def test_lines_that_an_output_shows():
    assert shown_in("[File: a.py (9 lines total)]\n3:x\n4:y\n(2 more)") == Touch("read", "a.py", 3, 4)
    assert shown_in("[File: a.py\n" * 1000) is None


def test_locked_short_and_our_own_texts_are_left():
    for change in ({"locked": True}, {"text": "[ctxkit: left out] " + "x1 " * 900}, {"text": "short"}):
        thread = Thread().user("Go.").calls("read", source("old"), path="a.py").calls("write", "done", path="a.py")
        thread.pieces[2] = thread.pieces[2]._replace(**change)
        assert proposed(thread.steps(1)) == []


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"command": "' + "; " * 50_000 + '"}', '{"path": "' + "/" * 100_000 + '"}', "null", "\ud800"],
)
def test_hostile_arguments(text):
    assert touches_of("bash", text)
    assert touches_of("edit", text)


def test_many_windows_of_one_file_are_looked_at_once_each():
    thread = Thread().user("Go.")
    for number in range(600):
        thread.calls(
            "read", source(f"part{number}"), path="a.py", start_line=number * 100 + 1, end_line=number * 100 + 99
        )
    assert proposed(thread.steps(1)) == []
    thread.calls("write", "done", path="a.py", content="x")
    assert len(proposed(thread)) == 600
