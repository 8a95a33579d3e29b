"""``ctxkit recall``: a text, or why there is none; exit codes 0, 1, 2."""

import json
import time

import pytest

from ctxkit import Kit, Policy
from ctxkit.cli import main
from ctxkit.editable import Stub

TEXT = "a tide table\nof many lines"


@pytest.fixture
def kept(tmp_path):
    kit = Kit(Policy(mode="prune", tidy={"recall": "disk"}), store=tmp_path, clock=time.time, strict=True)
    ref = kit.rooms.recall.ref_of([b"x" * 16], Stub((0, 0)))
    kit.rooms.recall.keep("thread-1", ref, TEXT)
    kit.close()
    return tmp_path, ref


def test_the_text_is_printed(kept, capsys):
    folder, ref = kept
    assert main(["recall", ref, "--thread", "thread-1", "--store", str(folder)]) == 0
    assert capsys.readouterr().out == TEXT + "\n"


def test_json(kept, capsys):
    folder, ref = kept
    assert main(["recall", ref, "--thread", "thread-1", "--store", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ref": ref, "thread": "thread-1", "text": TEXT}


@pytest.mark.parametrize(
    ("ref", "thread"), [(None, "thread-2"), ("r_aaaaaaaaaaaaaaaa", "thread-1"), ("rubbish", "thread-1")]
)
def test_nothing_is_found(kept, capsys, ref, thread):
    folder, own = kept
    assert main(["recall", ref or own, "--thread", thread, "--store", str(folder)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("ctxkit recall: ")
    assert "rubbish" not in told.err


def test_no_store_is_said_and_none_is_made(tmp_path, capsys):
    assert main(["recall", "r_aaaaaaaaaaaaaaaa", "--thread", "t", "--store", str(tmp_path / "none")]) == 2
    assert "no texts are kept in" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_key_of_another_form_is_told(kept, capsys, monkeypatch):
    folder, ref = kept
    monkeypatch.setenv("CTXKIT_RECALL_KEY", "not-a-key")
    assert main(["recall", ref, "--thread", "thread-1", "--store", str(folder)]) == 2
    assert "32 random bytes in Base64" in capsys.readouterr().err


def test_the_thread_must_be_named(capsys):
    with pytest.raises(SystemExit) as error:
        main(["recall", "r_aaaaaaaaaaaaaaaa"])
    assert error.value.code == 2
