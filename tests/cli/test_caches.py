"""``ctxkit caches``: what stands and what it cost, offline and from the provider; exit codes."""

from __future__ import annotations

import json

import pytest

from ctxkit import Kit, Policy
from ctxkit.cli import main
from ctxkit.testing import FakeProvider

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")

MODEL = "gemini-2.5-flash"
RULES = {"parts": [{"text": "Rule: be brief and say where it stands. " * 1000}]}
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def provider(monkeypatch):
    with FakeProvider(caches=True) as running:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", running.gemini_url)
        monkeypatch.setenv("GEMINI_API_KEY", "none")
        monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
        yield running


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("CTXKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def made(provider, home):
    """One that was made by hand, and read by nobody yet."""
    kit = Kit(Policy(mode="cache"), store=home / "store", ledger=home / "ledger.db", strict=True)
    client = genai.Client()
    found = kit.caches.create({"systemInstruction": RULES}, model=MODEL, client=client)
    kit.close()
    return found


@pytest.fixture
def ctxkit(capsys):
    def call(*words):
        code = main(["caches", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_nothing_yet(ctxkit, home, provider):
    code, out, err = ctxkit("ls")
    assert (code, out) == (2, "")
    assert "no store" in err
    assert not home.exists(), "looking makes nothing"


def test_ls_and_show_ask_nobody(ctxkit, made, provider):
    provider.clear()
    code, out, _ = ctxkit("ls")
    assert code == 0
    assert made.name in out
    assert "pinned" in out
    code, out, _ = ctxkit("ls", "--json")
    (told,) = json.loads(out)
    assert (told["name"], told["tokens"], told["verdict"]) == (made.name, made.tokens, "pinned")
    assert float(told["creation_paid"]) > 0
    assert told["saved"] == "0"
    assert float(told["net"]) < 0
    code, out, _ = ctxkit("show", made.name.rpartition("/")[2])
    assert code == 0
    assert "creation paid $0.0" in out
    assert ctxkit("show", "nothing")[0] == 1
    assert provider.requests == []


def test_refresh(ctxkit, made, provider):
    code, out, _ = ctxkit("refresh", made.name, "--ttl", "5h", "--json")
    assert code == 0
    assert json.loads(out)["expires"] > made.expires + 3 * 3600
    assert ctxkit("refresh", made.name, "--ttl", "soon")[0] == 2
    code, _, err = ctxkit("refresh", "cachedContents/nothing")
    assert (code, "403" in err) == (1, True)


def test_rm_asks_first(ctxkit, made, provider):
    code, _, err = ctxkit("rm", made.name)
    assert (code, "--yes" in err) == (2, True)
    assert ctxkit("rm")[0] == 2
    code, out, _ = ctxkit("rm", made.name, "--yes")
    assert (code, out) == (0, f"deleted {made.name}\n")
    assert json.loads(ctxkit("ls", "--json")[1])[0]["verdict"] == "ended"
    assert provider.caches.handles.held[made.name].deleted


def test_orphans_are_found_and_cleaned(ctxkit, made, provider):
    client = genai.Client()
    theirs = client.caches.create(model=MODEL, config={"system_instruction": RULES["parts"][0]["text"]})
    ours = client.caches.create(
        model=MODEL, config={"system_instruction": RULES["parts"][0]["text"], "display_name": "ctxkit:0123"}
    )
    assert ctxkit("ls")[0] == 0
    code, out, _ = ctxkit("ls", "--remote", "--json")
    assert code == 1, "orphans are a finding"
    assert {one["name"]: one["verdict"] for one in json.loads(out)} == {
        made.name: "pinned",
        theirs.name: "foreign",
        ours.name: "orphan",
    }
    assert ctxkit("rm", "--orphans", "--yes", "--json")[1].strip() == json.dumps({"deleted": [ours.name]})
    assert ctxkit("ls", "--remote")[0] == 0
    assert ctxkit("rm", "--orphans", "--yes")[:2] == (0, "none\n")
    assert ctxkit("show", theirs.name, "--remote")[0] == 0


def test_without_a_key_it_says_what_to_do(ctxkit, made, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY")
    code, _, err = ctxkit("ls", "--remote")
    assert (code, "GEMINI_API_KEY" in err) == (2, True)
