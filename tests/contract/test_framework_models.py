"""The door of frameworks' models, with models made here: those of the frameworks themselves are in tests/frameworks."""

from __future__ import annotations

from functools import cached_property

import pytest

from ctxkit.errors import UnsupportedClientError
from tests.contract.shared import MESSAGES, settled

openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
anthropic = pytest.importorskip("anthropic", reason="Anthropic's SDK is not installed")


class ChatOpenAI:
    """As LangChain's: the clients beside their resources, which have names like clients."""

    __module__ = "langchain_openai.chat_models.base"

    def __init__(self, url):
        self.root_client = openai.OpenAI(base_url=url, api_key="none")
        self.client = self.root_client.chat.completions
        self.root_async_client = None


class ChatXAI(ChatOpenAI):
    __module__ = "langchain_xai.chat_models"


class ChatAnthropic:
    __module__ = "langchain_anthropic.chat_models"

    def __init__(self, url):
        self.url = url

    @cached_property
    def _client(self):
        return anthropic.Anthropic(base_url=self.url, api_key="none")


class OpenAI:
    """As LlamaIndex's: made on first use, or for each call."""

    __module__ = "llama_index.llms.openai.base"

    def __init__(self, url, reuse_client=True):
        self.url, self.reuse_client, self._client = url, reuse_client, None

    def _get_client(self):
        self._client = self._client or openai.OpenAI(base_url=self.url, api_key="none")
        return self._client


@pytest.mark.parametrize("kind", [ChatOpenAI, ChatXAI])
def test_clients_are_wrapped_where_they_are(kind, provider, kit, records):
    model = kind(provider.openai_url)
    resource = model.client
    assert kit.wrap(model, platform="openai") is model
    assert model.client is resource
    resource.create(model="gpt-4o", messages=MESSAGES)
    settled(records, "openai.chat", platform="openai")
    model.root_client.close()


def test_a_client_that_comes_back_as_another_takes_its_place(provider, kit, records):
    model = kit.wrap(ChatAnthropic(provider.anthropic_url))
    client = model._client
    assert kit.wrap(model)._client is client, "twice counts once"
    client.messages.create(model="claude-opus-4-8", max_tokens=10, messages=MESSAGES)
    settled(records, "anthropic.messages")
    client.close()


def test_a_client_that_is_not_made_yet_is_made(provider, kit, records):
    model = kit.wrap(OpenAI(provider.openai_url))
    model._get_client().chat.completions.create(model="gpt-4o", messages=MESSAGES)
    settled(records, "openai.chat")
    model._client.close()


def test_what_makes_a_client_for_each_call_is_refused(provider, kit):
    with pytest.raises(UnsupportedClientError, match=r"llama_index's OpenAI .* http_client=kit\.attach"):
        kit.wrap(OpenAI(provider.openai_url, reuse_client=False))


def test_what_holds_no_client_is_refused(provider, kit):
    model = ChatOpenAI(provider.openai_url)
    model.root_client.close()
    model.root_client = None
    with pytest.raises(UnsupportedClientError, match="holds no client"):
        kit.wrap(model)
