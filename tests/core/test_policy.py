"""Policies: where they come from and what they refuse."""

from decimal import Decimal

import pytest

from ctxkit import Kit, Usage
from ctxkit.errors import ConfigurationError
from ctxkit.policy import Policy, decided_in


def test_defaults_observe():
    assert Policy().mode == "observe"
    assert Policy().usage_probe is False


def test_files_environment_and_arguments_override_in_this_order(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.ctxkit]\nscope = "project"\ncount_memory = 2000\n')
    (tmp_path / "ctxkit.toml").write_text('scope = "own"\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert Policy.load(inner).scope == "own"
    assert Policy.load(inner).count_memory == 2000
    monkeypatch.setenv("CTXKIT_SCOPE", "environment")
    assert Policy.load(inner).scope == "environment"
    assert Policy.load(inner, scope="argument").scope == "argument"


def test_the_environment_gives_booleans(monkeypatch, tmp_path):
    monkeypatch.setenv("CTXKIT_USAGE_PROBE", "1")
    assert Policy.load(tmp_path).usage_probe is True


def test_a_foreign_broken_pyproject_is_no_concern(tmp_path):
    (tmp_path / "pyproject.toml").write_text("not toml [")
    assert Policy.load(tmp_path).mode == "observe"


def test_an_own_broken_file_is_named(tmp_path):
    (tmp_path / "ctxkit.toml").write_text("mode = ")
    with pytest.raises(ConfigurationError, match=r"ctxkit\.toml cannot be read"):
        Policy.load(tmp_path)


def test_unknown_options_list_the_known_ones():
    with pytest.raises(ConfigurationError, match="unknown option 'usageprobe'; options: .*usage_probe"):
        Policy(usageprobe=True)


def test_the_probe_is_on_from_mode_cache_upwards():
    assert Policy(mode="cache").usage_probe is True
    assert Policy(mode="cache", usage_probe=False).usage_probe is False
    assert Policy(mode="observe").usage_probe is False


def test_a_policy_is_frozen():
    with pytest.raises(Exception, match="frozen"):
        Policy().mode = "cache"


def test_another_currency_needs_its_rate():
    with pytest.raises(ConfigurationError, match="currency EUR needs usd_rate"):
        Policy(currency="EUR")
    assert Policy(currency="EUR", usd_rate="0.9").usd_rate == Decimal("0.9")


def test_reports_speak_in_the_currency_of_the_policy(tmp_path):
    kit = Kit(policy=Policy(currency="EUR", usd_rate="0.5"), strict=True)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}
    plan = kit.plan(body, dialect="openai.chat", platform="openai")
    kit.settle(plan, Usage(fresh=1_000_000, output=0))
    found = kit.report()
    assert found.to_dict()["currency"] == "EUR"
    assert Decimal(found.to_dict()["total"]["cost"]) == Decimal("1.25")
    kit.close()


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("ctxkit.toml", 'mode = "cache"', {"mode": "cache"}),
        ("ctxkit.toml", '[tool.ctxkit]\nmode = "cache"', {"mode": "cache"}),
        ("pyproject.toml", '[tool.ctxkit]\nmode = "cache"', {"mode": "cache"}),
        ("pyproject.toml", '[project]\nname = "shop"', {}),
        ("pyproject.toml", "tool = 5", {}),
        ("pyproject.toml", "[tool]\nctxkit = 5", {}),
    ],
)
def test_what_a_file_decides(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    assert decided_in(tmp_path / name) == found
