"""Which variables lead a program to the proxy, and to which upstream they lead on."""

from __future__ import annotations

import pytest

from ctxkit import Kit
from ctxkit.errors import ConfigurationError
from ctxkit.integrations.proxy.headers import answered, asked
from ctxkit.integrations.proxy.upstreams import blind_spots, environment, upstreams

BASE = "http://127.0.0.1:9/secret"


def led(environ, **options):
    """What the variables say to the program, and where the proxy leads on from there."""
    found = upstreams(environ, **options)
    origins = {one.name: one.origin for one in found}
    told = environment(environ, found, BASE)
    assert told.pop("CTXKIT_RUN")
    changed = {name: value for name, value in told.items() if value != environ.get(name)}
    return {
        name: (value.removeprefix(BASE), origins.get(value.removeprefix(BASE).split("/")[1] if BASE in value else ""))
        for name, value in changed.items()
    }


def test_without_any_setting_the_providers_own_hosts():
    assert led({}) == {
        "OPENAI_BASE_URL": ("/openai/v1", "https://api.openai.com"),
        "OPENAI_API_BASE": ("/openai/v1", "https://api.openai.com"),
        "ANTHROPIC_BASE_URL": ("/anthropic", "https://api.anthropic.com"),
        "GOOGLE_GEMINI_BASE_URL": ("/gemini", "https://generativelanguage.googleapis.com"),
    }


def test_what_is_set_is_the_upstream_and_keeps_its_path():
    found = led({"OPENAI_BASE_URL": "https://gateway.example:8443/team/a/v1/", "ANTHROPIC_BASE_URL": "  "})
    assert found["OPENAI_BASE_URL"] == ("/openai/team/a/v1", "https://gateway.example:8443")
    assert "OPENAI_API_BASE" not in found  # whoever reads that one would have gone elsewhere
    assert found["ANTHROPIC_BASE_URL"] == ("/anthropic", "https://api.anthropic.com")


def test_an_older_variable_alone_stays_alone():
    found = led({"OPENAI_API_BASE": "http://localhost:4000"})
    assert found["OPENAI_API_BASE"] == ("/openai", "http://localhost:4000")
    assert "OPENAI_BASE_URL" not in found  # LiteLLM would look at it first


def test_variables_that_lead_elsewhere_have_upstreams_of_their_own():
    found = led({"OPENAI_BASE_URL": "https://a.example/v1", "OPENAI_API_BASE": "https://b.example/v1"})
    assert found["OPENAI_BASE_URL"] == ("/openai/v1", "https://a.example")
    assert found["OPENAI_API_BASE"] == ("/openai_api_base/v1", "https://b.example")


@pytest.mark.parametrize(
    "name", ["GROQ_BASE_URL", "MISTRAL_API_BASE", "AZURE_OPENAI_ENDPOINT", "ANTHROPIC_VERTEX_BASE_URL"]
)
def test_others_are_led_where_they_are_set(name):
    assert name not in led({})
    told, origin = led({name: "https://x.example/y"})[name]
    assert (told.endswith("/y"), origin) == (True, "https://x.example")


def test_what_is_no_url_is_left_alone():
    found = led({"OPENAI_BASE_URL": "api.example.com/v1", "GROQ_BASE_URL": "unix:/run/x"})
    assert found.keys() & {"OPENAI_BASE_URL", "GROQ_BASE_URL"} == set()


def test_google_on_vertex_is_left_alone():
    assert "GOOGLE_VERTEX_BASE_URL" not in led(
        {"GOOGLE_VERTEX_BASE_URL": "https://us-central1-aiplatform.googleapis.com"}
    )
    assert "GOOGLE_VERTEX_BASE_URL" in led({"GOOGLE_VERTEX_BASE_URL": "https://gateway.example"})


def test_azure_keeps_its_node_sdk_working():
    environ = {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/", "OPENAI_API_VERSION": "2026-01-01"}
    found = led(environ)
    assert found["AZURE_OPENAI_ENDPOINT"] == ("/azure", "https://mine.openai.azure.com")
    assert "OPENAI_BASE_URL" not in found
    assert any("Azure" in line for line in blind_spots(environ, upstreams(environ)))
    asked_for = {"openai": "https://api.openai.com/v1"}
    assert "OPENAI_BASE_URL" in led(environ, overrides=asked_for)
    assert not any("Azure" in line for line in blind_spots(environ, upstreams(environ, asked_for)))


def test_overrides_win_by_family_and_by_variable():
    environ = {"OPENAI_BASE_URL": "https://a.example/v1"}
    assert led(environ, overrides={"openai": "http://b.example/v2"})["OPENAI_BASE_URL"][1] == "http://b.example"
    found = led(environ, overrides={"OPENAI_BASE_URL": "http://c.example/v2", "MY_LLM_URL": "http://d.example"})
    assert found["OPENAI_BASE_URL"] == ("/openai/v2", "http://c.example")
    assert found["MY_LLM_URL"] == ("/my_llm_url", "http://d.example")


def test_platforms_are_named_for_upstreams_that_no_host_tells():
    found = upstreams({"OPENAI_BASE_URL": "http://localhost:8000/v1"}, platforms={"openai": "vllm"})
    assert [one.platform for one in found if one.name == "openai"] == ["vllm"]


@pytest.mark.parametrize(
    ("overrides", "platforms", "said"),
    [
        ({"openai": "localhost:8000"}, {}, "no URL"),
        ({"nobody": "http://localhost"}, {}, "no upstream is called"),
        ({}, {"nobody": "vllm"}, "nothing leads to nobody"),
        ({"openai": "http://"}, {}, "no URL"),
    ],
)
def test_what_cannot_be_is_told(overrides, platforms, said):
    with pytest.raises(ConfigurationError, match=said):
        upstreams({}, overrides, platforms)


def test_the_programs_own_proxy_does_not_catch_the_loopback():
    assert "NO_PROXY" not in environment({}, (), BASE)
    told = environment({"https_proxy": "http://proxy", "NO_PROXY": "internal"}, (), BASE)
    assert (told["NO_PROXY"], told["no_proxy"]) == ("internal,127.0.0.1", "internal,127.0.0.1")
    told = environment({"ALL_PROXY": "http://proxy", "no_proxy": "a", "NO_PROXY": "b"}, (), BASE)
    assert (told["NO_PROXY"], told["no_proxy"]) == ("b,127.0.0.1", "a,127.0.0.1")


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"AWS_ACCESS_KEY_ID": "x"}, "Bedrock"),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, "Bedrock"),
        ({"GOOGLE_GENAI_USE_VERTEXAI": "true"}, "Vertex"),
        ({"CTXKIT_RUN": "1"}, "inside another"),
    ],
)
def test_what_cannot_be_seen_is_said(environ, word):
    assert [line for line in blind_spots(environ, upstreams(environ)) if word in line]
    assert blind_spots({}, upstreams({})) == []


def test_the_upstream_of_a_url_with_a_user():
    [one] = [one for one in upstreams({"OPENAI_BASE_URL": "https://me:pw@gw.example/v1"}) if one.name == "openai"]
    assert (one.origin, one.host) == ("https://me:pw@gw.example", "gw.example")


def test_headers_of_one_hop_stay_behind():
    given = [(b"Host", b"h"), (b"connection", b"close, X-A"), (b"x-a", b"1"), (b"X-B", b"2"), (b"te", b"trailers")]
    assert asked(given, b"there") == [(b"Host", b"there"), (b"X-B", b"2")]
    assert answered([*given[1:], (b"Keep-Alive", b"5")], "http://there", "http://here") == [(b"X-B", b"2")]


@pytest.mark.parametrize("way", ["wrap", "attach"])
def test_a_client_that_is_wrapped_behind_it_is_told(way, monkeypatch):
    httpx2 = pytest.importorskip("httpx2")
    monkeypatch.setenv("CTXKIT_RUN", "1")
    kit = Kit()
    with httpx2.Client() as client:
        getattr(kit, way)(client)
    assert kit.faults.counts["wrap"] == 1
