"""``ctxkit doctor``: every fault is found, named and advised on, and looking changes nothing."""

import argparse
import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ctxkit import Kit
from ctxkit.cli import doctor
from ctxkit.metering.ledger.schema import MIGRATIONS

NOW = datetime(2026, 11, 20, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Settings of the folder that tests are run from are not the user's."""
    monkeypatch.chdir(tmp_path)


def checks(about=None, **how):
    found = [check for check in doctor.examine(now=how.pop("now", NOW), **how) if about in (None, check.about)]
    assert found, about
    return found


def problems(about=None, **how):
    return [check for check in checks(about, **how) if check.state == "problem"]


def run(capsys, *words):
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers(dest="command"))
    code = doctor.run(parser.parse_args(["doctor", *words]))
    return code, capsys.readouterr().out


def used(home):
    """A private home in which a kit has been at work."""
    home.mkdir(mode=0o700)
    kit = Kit(store=home / "store", ledger=home / "ledger.db", clock=lambda: NOW, strict=True)
    plan = kit.plan(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}, dialect="openai.chat", platform="openai"
    )
    answer = {
        "id": "a",
        "model": "gpt-4o",
        "choices": [],
        "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
    }
    kit.sent(plan)
    kit.settle(plan, answer)
    kit.close()


def test_a_fresh_machine_is_well_and_looking_makes_nothing(home, capsys, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW)
    code, out = run(capsys)
    assert (code, out.count("FAIL")) == (0, 0), out
    assert "all is well" in out
    assert "the first request makes it" in out
    assert not home.exists()


def test_the_same_as_json(home, capsys, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW)
    code, out = run(capsys, "--json")
    said = json.loads(out)
    assert (code, said["problems"]) == (0, 0)
    assert {"python", "package", "vocabulary", "prices", "settings", "ledger", "store"} <= {
        check["about"] for check in said["checks"]
    }


def test_a_home_in_use_is_well(home):
    used(home)
    (ledger,) = checks("ledger")
    assert (ledger.state, ledger.name) == ("ok", str(home / "ledger.db"))
    assert f"schema {len(MIGRATIONS)}" in ledger.found
    assert [check.state for check in checks("home")] == ["ok"]
    assert [check.state for check in checks("store")] == ["ok"]
    assert problems() == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are looked at on POSIX")
def test_files_that_others_may_read_are_a_problem(home, capsys):
    used(home)
    home.chmod(0o755)
    (home / "ledger.db").chmod(0o644)
    folder, file = problems("home")
    assert (folder.found, folder.do) == ("others may look into it (mode 0755)", f"chmod 700 {home}")
    assert (file.name, file.do) == (str(home / "ledger.db"), f"chmod 600 {home / 'ledger.db'}")
    code, out = run(capsys)
    assert code == 1
    assert "2 problems" in out
    assert f"-> chmod 700 {home}" in out
    assert [check.do for check in problems("ledger", ledger=home / "ledger.db")] == [f"chmod 600 {home / 'ledger.db'}"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is closed to root")
def test_a_home_that_cannot_be_written_is_a_problem(home):
    used(home)
    home.chmod(0o500)
    try:
        assert any("cannot be read and written" in check.found for check in problems("home"))
    finally:
        home.chmod(0o700)


def test_a_home_that_is_a_file_is_a_problem(home):
    home.write_text("")
    assert [check.found for check in problems("home")] == ["is not a folder"]


def test_something_else_in_the_ledgers_place_is_left_alone(home, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("not a ledger, but dear to somebody")
    other.chmod(0o600)
    (found,) = checks("ledger", ledger=other)
    assert (found.state, found.found) == ("problem", "is not a ctxkit ledger")
    assert other.read_text() == "not a ledger, but dear to somebody"


def test_a_ledger_that_cannot_be_opened_is_a_problem(home, monkeypatch):
    from ctxkit.errors import StoreError
    from ctxkit.metering.ledger import Ledger

    used(home)

    def refuse(self):
        raise StoreError("the ledger is locked by somebody else")

    monkeypatch.setattr(Ledger, "state", refuse)
    assert [check.found for check in problems("ledger")] == ["the ledger is locked by somebody else"]


def test_a_spoilt_vocabulary_is_a_problem(monkeypatch):
    from ctxkit.metering import vocabularies

    spoilt = {
        **vocabularies.VOCABULARIES,
        "cl100k_base": replace(vocabularies.VOCABULARIES["cl100k_base"], sha256="0" * 64),
    }
    spoilt["p50k_base"] = replace(spoilt["p50k_base"], file="gone.xz")
    monkeypatch.setattr(vocabularies, "VOCABULARIES", spoilt)
    found = {check.name: check.found for check in problems("vocabulary")}
    assert found == {
        "cl100k_base": "not the file that was built for this version",
        "p50k_base": "cannot be read (No such file or directory)",
    }


def test_the_age_of_prices_is_told(monkeypatch):
    assert [check.state for check in checks("prices")] == ["ok", "ok"]
    soon, late = (datetime(2027, month, 20, tzinfo=UTC).timestamp() for month in (3, 12))
    # From January 2027 on the list's own scheduled changes have begun.
    assert "note" in {check.state for check in checks("prices", now=soon)}
    stale = problems("prices", now=late)
    assert [check.do for check in stale] == ["pip install -U genai-prices", "pip install -U ctxkit"]


def test_settings_and_prices_that_cannot_work_are_problems(monkeypatch, tmp_path):
    monkeypatch.setenv("CTXKIT_MODE", "nonsense")
    assert "mode" in problems("settings")[0].found
    monkeypatch.delenv("CTXKIT_MODE")
    rows = tmp_path / "rows.toml"
    rows.write_text('[[price]]\nprovider = "vllm"\nmodel = "m"\ninput = 0.5\n')
    monkeypatch.setenv("CTXKIT_PRICES", str(rows))
    assert 'input = "0.25"' in problems("prices")[0].found
    rows.write_text('[[price]]\nprovider = "vllm"\nmodel = "m"\ninput = "0.5"\n')
    assert checks("prices")[-1].found == str(rows)
    assert problems("prices") == []


def test_which_door_fits_which_sdk(monkeypatch):
    versions = {"openai": "1.40.0", "anthropic": "2.11.0", "google-genai": "3.4.0", "boto3": None, "litellm": None}
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, "1.0"))
    monkeypatch.setattr(doctor, "find_spec", lambda name: object() if name == "aiohttp" else None)
    found = {check.name: check for check in checks("sdk")}
    assert set(found) == {"openai", "anthropic", "google-genai", "google-genai with aiohttp"}
    assert (found["openai"].state, found["openai"].do[:20]) == ("problem", "pip install 'openai>")
    assert "middleware" in found["anthropic"].found
    assert "kit.google_http_options()" in found["google-genai with aiohttp"].do
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert "google-genai with aiohttp" not in {check.name for check in checks("sdk")}


def test_no_sdk_and_missing_packages_are_said(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert [check.state for check in checks("sdk")] == ["note"]
    assert {check.name for check in problems("package")} >= {"tiktoken", "orjson"}


@pytest.mark.parametrize(
    ("where", "key", "state", "said"),
    [
        ("memory", None, "ok", "kept for 60 s"),
        ("disk", None, "note", "as plain text"),
        ("disk", "k", "ok", "encrypted"),
    ],
)
def test_who_may_read_answers_that_are_kept_is_said(tmp_path, monkeypatch, where, key, state, said):
    pytest.importorskip("cryptography")
    assert not [check for check in doctor.examine(now=NOW) if check.about == "answers"]
    (tmp_path / "ctxkit.toml").write_text(f'[answers]\nwhere = "{where}"\nttl = 60\n')
    if key is not None:
        monkeypatch.setenv("CTXKIT_ANSWERS_KEY", key)
    (check,) = checks("answers")
    assert (check.name, check.state) == (where, state)
    assert said in check.found


@pytest.mark.parametrize(
    ("installed", "named", "there", "state", "says"),
    [
        (
            False,
            "auto",
            False,
            "note",
            "not installed: words alone tell what is relevant; ctxkit[semantic] adds a model",
        ),
        (True, "auto", True, "ok", "all-MiniLM-L6-v2 is at hand"),
        (True, "lexical", True, "ok", "all-MiniLM-L6-v2 is at hand"),
        (True, "auto", False, "note", 'tidy.relevance = "all-MiniLM-L6-v2" downloads one'),
        (True, "my-model", False, "note", "my-model is not at hand: it is downloaded when it is first needed"),
        (True, "my-model", True, "ok", "my-model is at hand"),
    ],
)
def test_what_meaning_would_add_stands_in_one_line(monkeypatch, tmp_path, capsys, installed, named, there, state, says):
    (tmp_path / "pyproject.toml").write_text(f'[tool.ctxkit.tidy]\nrelevance = "{named}"\n')
    monkeypatch.setattr("ctxkit.hygiene.embedding.installed", lambda: installed)
    monkeypatch.setattr("ctxkit.hygiene.embedding.at_hand", lambda model: model if there else None)
    (check,) = checks("relevance")
    assert (check.state, check.do) == (state, "")
    assert says in check.found
    assert run(capsys)[1].count("semantic") == 1 + check.found.count("semantic")
