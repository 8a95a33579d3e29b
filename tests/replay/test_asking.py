"""An audit says how often the same question begins a conversation, and keeps no word of it."""

import json

import pytest

from ctxkit import Policy
from ctxkit.hygiene.questions import FALSE, Again
from ctxkit.hygiene.vectors import Vectors
from ctxkit.replay import asking
from ctxkit.replay.asking import questions, said
from ctxkit.replay.auditing import Files, audit
from tests.hygiene.meanings import Model

ASKED = [f"What is the price of lamp number {number}?" for number in range(8)]
ASKED += ["My car broke down", "my car  broke down", "My automobile broke down"]


@pytest.fixture
def model(monkeypatch):
    vectors = Vectors(Model())
    monkeypatch.setattr(asking, "installed", lambda: True)
    monkeypatch.setattr(asking, "at_hand", lambda name: name)
    monkeypatch.setattr("ctxkit.hygiene.vectors.shared", lambda _: vectors)
    return vectors


@pytest.fixture
def recorded_questions(tmp_path):
    """One request each, on two wires; a long document and an agent's results are no questions."""
    file = tmp_path / "requests.jsonl"
    system = {"role": "system", "content": "You sell lamps."}
    bodies = [{"model": "gpt-5", "messages": [system, {"role": "user", "content": text}]} for text in ASKED[-2:]]
    parts = [{"type": "text", "text": "Today is Monday."}, {"type": "text", "text": "My automobile broke down"}]
    bodies.append({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": parts}]})
    bodies.append({"model": "gpt-5", "messages": [{"role": "user", "content": "A report. " * 500}]})
    file.write_text("\n".join(map(json.dumps, bodies)))
    return file


def test_an_audit_counts_them_and_keeps_no_word(recorded_questions, monkeypatch):
    monkeypatch.setattr(asking, "installed", lambda: False)
    monkeypatch.setattr(asking, "_FEW", 2)
    found = audit(Files([recorded_questions]), processes=1)
    assert found.questions == Again(3, exactly=1, reworded=None, largest=2)
    assert all(one.opening == "" for one in found.threads)
    told = found.to_dict()
    assert told["questions"]["exactly"] == 1
    assert told["questions"]["reworded"] is None
    assert "broke down" not in json.dumps(told)


def test_in_other_words_where_a_model_is_at_hand_with_its_false_matches_beside(model):
    found = questions(ASKED, Policy(tidy={"relevance": "auto"}))
    assert (found.asked, found.exactly) == (11, 1)
    assert found.reworded >= 1
    told = said(found, Policy())
    assert all(name in told for name in FALSE)
    assert "nothing is answered by them" in told
    own = Policy(tidy={"relevance": "/models/mine"})
    assert "was not measured" in said(questions(ASKED, own), own)


def test_a_model_that_is_not_at_hand_or_not_wanted_tells_nothing(model, monkeypatch):
    assert questions(ASKED, Policy(tidy={"relevance": "lexical"})).reworded is None
    monkeypatch.setattr(asking, "at_hand", lambda _: None)
    found = questions(ASKED, Policy())
    assert found.reworded is None
    assert "not known without a model" in said(found, Policy())
    assert questions(ASKED[:9], Policy()) is None


def test_a_model_that_fails_finds_nothing_and_harms_nothing(model):
    model._maker._embedder.broken = RuntimeError()
    assert questions(ASKED, Policy()).reworded == 0
