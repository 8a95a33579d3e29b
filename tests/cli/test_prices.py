"""``ctxkit prices``: cards for people and for programs, and price maps as rows."""

import json

import pytest

from ctxkit.cli import prices


@pytest.fixture
def ctxkit(capsys, monkeypatch):
    import argparse

    monkeypatch.setenv("COLUMNS", "120")

    def call(*words):
        parser = argparse.ArgumentParser()
        prices.add_parser(parser.add_subparsers(dest="command"))
        code = prices.run(parser.parse_args(["prices", *words]))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_model_is_shown_wherever_it_is_listed(ctxkit):
    code, out, _ = ctxkit("show", "claude-haiku-5-5", "--at", "2026-11-20")
    assert code == 0
    for words in (
        "on anthropic, standard",
        "on bedrock",
        "prompts to 100,000",
        "prompts over 100,000",
        "write 1h",
        "0.1375",
    ):
        assert words in out
    assert "genai-prices:" in out


def test_one_card_as_json(ctxkit):
    code, out, _ = ctxkit(
        "show", "gpt-6.1-terra", "--platform", "openai", "--tier", "flex", "--at", "2026-12-01T07:00", "--json"
    )
    said = json.loads(out)
    assert (code, said["model"], said["at"]) == (0, "gpt-6.1-terra", "2026-12-01T07:00:00Z")
    (card,) = said["cards"]
    assert card["tier"] == "flex"
    assert card["tiers"][0]["usd_per_mtok"] == {
        "fresh": "0.5",
        "read": "0.025",
        "output": "2.5",
        "written.12h": "1.25",
        "written.30m": "0.625",
    }
    assert [tier["above"] for tier in card["tiers"]] == [0, 272_000]
    assert card["tiers"][0]["usd_per_thousand_calls"]["web_search"] == "10"


def test_a_scheduled_change_and_a_handle_are_told(ctxkit):
    _, out, _ = ctxkit("show", "gemini-4-argon", "--at", "2026-11-20")
    assert "changes its price on 2026-12-01: input 2 to 4, cache read 0.1 to 0.2, output 10 to 20" in out
    _, out, _ = ctxkit("show", "gemini-2.5-pro", "--platform", "google", "--at", "2026-11-20")
    assert "a cache handle: 4.5 per million tokens and hour" in out
    assert "changes its price" not in out


def test_unknown_is_said_and_is_a_finding(ctxkit):
    code, out, _ = ctxkit("show", "no-such-model")
    assert (code, "UNKNOWN" in out) == (1, True)
    code, out, _ = ctxkit("show", "no-such-model", "--platform", "vllm", "--tier", "batch", "--json")
    assert (code, json.loads(out)["cards"]) == (1, [])


def test_a_wrong_date_is_named(ctxkit):
    from ctxkit.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="--at soon is no date"):
        ctxkit("show", "gpt-4o", "--at", "soon")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ctxkit("show", "gpt-4o", "--prices", "/no/such/file.toml")


MAP = {
    "dashscope/qwen-plus": {
        "litellm_provider": "dashscope",
        "mode": "chat",
        "input_cost_per_token": 4e-07,
        "output_cost_per_token": 1.2e-06,
    },
    "gpt-new": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
    },
}


def test_a_price_map_becomes_rows_that_price(ctxkit, tmp_path):
    source, target = tmp_path / "map.json", tmp_path / "prices.toml"
    source.write_text(json.dumps(MAP))
    code, out, err = ctxkit("import", str(source), "-o", str(target), "--platform", "qwen", "--as-of", "2026-11-20")
    assert (code, out) == (0, "")
    assert "1 rows in" in err
    assert "1 not asked for" in err
    code, out, _ = ctxkit("show", "qwen-plus", "--platform", "qwen", "--prices", str(target), "--json")
    (card,) = json.loads(out)["cards"]
    assert (code, card["as_of"]) == (0, "2026-11-20")
    assert card["tiers"][0]["usd_per_mtok"] == {"fresh": "0.4", "output": "1.2"}


def test_rows_go_to_standard_output_and_the_count_as_json(ctxkit, tmp_path):
    source = tmp_path / "map.json"
    source.write_text(json.dumps(MAP))
    code, out, err = ctxkit("import", str(source), "--fill")
    assert (code, out.count("[[price]]"), out.count('mode = "fill"')) == (0, 2, 2)
    assert "left out: nothing" in err
    code, out, _ = ctxkit("import", str(source), "--model", "none-of-these", "--json")
    assert (code, json.loads(out)) == (1, {"rows": 0, "left_out": {"not asked for": 2}, "output": None})


@pytest.mark.parametrize(
    ("text", "says"), [("[]", "not a LiteLLM price map"), ("{", "is not JSON"), (None, "cannot be read")]
)
def test_a_file_that_is_no_price_map_is_named(ctxkit, tmp_path, text, says):
    from ctxkit.errors import ConfigurationError

    file = tmp_path / "map.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        ctxkit("import", str(file))


def test_a_wrong_date_of_a_map_is_named(ctxkit, tmp_path):
    from ctxkit.errors import ConfigurationError

    file = tmp_path / "map.json"
    file.write_text(json.dumps(MAP))
    with pytest.raises(ConfigurationError, match="--as-of yesterday is no date"):
        ctxkit("import", str(file), "--as-of", "yesterday")
