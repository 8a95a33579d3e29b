"""Which door fits is told by where the client's class was written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ctxkit.errors import UnsupportedClientError


@pytest.mark.parametrize("client", [object(), None, 3, "openai", {}, len, lambda: None])
def test_what_no_door_fits_is_refused_with_advice(kit, client):
    with pytest.raises(UnsupportedClientError, match="no door fits.*kit.plan"):
        kit.wrap(client)


def test_a_class_is_no_client(kit):
    with pytest.raises(UnsupportedClientError, match=r"wrap\(OpenAI\(\)\)"):
        kit.wrap(type("OpenAI", (), {"__module__": "openai"}))


def test_a_subclass_of_the_application_finds_its_door(kit, provider):
    openai = pytest.importorskip("openai")

    class Ours(openai.OpenAI):
        pass

    with Ours(base_url=provider.openai_url, api_key="none") as client:
        assert kit.wrap(client) is client
        assert len(client._client.event_hooks["request"]) == 1


def test_an_sdks_http_client_is_attached(kit):
    openai = pytest.importorskip("openai")
    with openai.DefaultHttpxClient() as http:
        assert kit.wrap(http) is http
        assert len(http.event_hooks["request"]) == 1


def test_modules_that_merely_begin_alike_are_strangers(kit):
    stranger = type("Client", (), {"__module__": "openai_tools.client"})()
    with pytest.raises(UnsupportedClientError):
        kit.wrap(stranger)


def test_the_doors_import_no_sdk():
    code = (
        "import sys, ctxkit.integrations, ctxkit.integrations.httpx_hooks, ctxkit.integrations.anthropic_middleware,"
        "ctxkit.integrations.boto3_events, ctxkit.integrations.litellm_functions, ctxkit.integrations.google_genai;"
        "print([m for m in ('httpx', 'httpx2', 'openai', 'anthropic', 'google.genai', 'boto3', 'botocore', 'litellm',"
        "'pydantic') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_nothing_is_half_imported_when_wrap_returns():
    """genai-prices brings httpx2, and openai 2 takes what it finds of that in ``sys.modules`` at its word."""
    pytest.importorskip("openai")
    code = (
        "import sys, threading, openai, ctxkit\n"
        "threading.Thread.start = lambda self: None\n"  # no second thread: what is there was loaded in this one
        "ctxkit.Kit().wrap(openai.OpenAI(api_key='none'))\n"
        "print('genai_prices' in sys.modules, hasattr(sys.modules['httpx2'], 'Timeout'))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["True", "True"]
