"""Gemini's cache objects through real clients of google-genai: made, read, prolonged, let go; gone in mid-use."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util

import pytest

from ctxkit import Kit, Policy, feature
from ctxkit.errors import CacheObjectError, ConfigurationError
from ctxkit.stores.memory import MemoryStore
from ctxkit.testing import FakeProvider, SimulatedCaches, capture

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
from google.genai import errors, types  # noqa: E402

MODEL = "gemini-2.5-flash"
AIOHTTP = importlib.util.find_spec("aiohttp") is not None
RULES = "You answer questions about the handbook. " + "Rule: be brief and say where it stands. " * 1000
TOOL = types.Tool(
    function_declarations=[types.FunctionDeclaration(name="look_up", description="Looks a word up.", parameters=None)]
)
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Cold(SimulatedCaches):
    """The provider's own cache never hits, so that what a handle saves is easy to know."""

    def serve(self, ask, family):
        self.evict()
        return super().serve(ask, family)


class Clock:
    def __init__(self):
        self.now = 1_795_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def provider(clock):
    caches = Cold(clock=clock)
    with FakeProvider(text="Four.", caches=caches) as running:
        yield running


def quiet(kit):
    """What the thread would do is done when the test says so."""
    kit.rooms.renting.tending._run = lambda: None
    return kit


@pytest.fixture
def kit(clock):
    made = quiet(Kit(Policy(mode="cache"), clock=clock, strict=True))
    yield made
    made.close()


@pytest.fixture
def records(kit):
    with capture(kit) as seen:
        yield seen


def wrapped(provider, kit, **options):
    return kit.wrap(genai.Client(api_key="none", http_options={"base_url": provider.gemini_url, **options}))


def from_options(provider, kit, **options):
    return genai.Client(api_key="none", http_options=kit.google_http_options(base_url=provider.gemini_url, **options))


def vertex(provider, kit, **options):
    from google.oauth2.credentials import Credentials

    http = kit.google_http_options(base_url=provider.gemini_url, **options)
    return genai.Client(
        vertexai=True, project="p", location="europe-west1", credentials=Credentials("token"), http_options=http
    )


MAKERS = {"options": from_options, "vertex": vertex, **({} if AIOHTTP else {"wrap": wrapped})}


@pytest.fixture(params=MAKERS)
def client(request, provider, kit):
    made = MAKERS[request.param](provider, kit)
    yield made
    closed(made)


def closed(client):
    """All that was opened for it; what is over with its event loop goes to the garbage collector, here."""
    client.close()
    client._api_client._httpx_client.close()
    with contextlib.suppress(RuntimeError):
        asyncio.run(client._api_client._async_httpx_client.aclose())
    gc.collect()


def config(**more):
    return types.GenerateContentConfig(system_instruction=RULES, tools=[TOOL], **more)


def ask(client, text="What is 2 + 2?", **more):
    return client.models.generate_content(model=MODEL, contents=text, config=config(**more))


def stream(client, text="What is 2 + 2?"):
    return list(client.models.generate_content_stream(model=MODEL, contents=text, config=config()))


def aask(client, text="What is 2 + 2?"):
    return asyncio.run(client.aio.models.generate_content(model=MODEL, contents=text, config=config()))


def astream(client, text="What is 2 + 2?"):
    async def drained():
        found = await client.aio.models.generate_content_stream(model=MODEL, contents=text, config=config())
        return [chunk async for chunk in found]

    return asyncio.run(drained())


CALLS = {"sync": ask, "stream": stream, "async": aask, "async stream": astream}


def made_one(client, kit, clock, provider):
    """A handle stands, because three requests asked for the same within ten seconds."""
    for number in range(3):
        ask(client, f"Question {number}?")
        clock.now += 5
    kit.caches.tend()
    (found,) = kit.caches.list()
    return found


def calls_of(provider):
    return [request.path.rpartition("/")[2] for request in provider.requests if "cachedContents" in request.path]


def test_what_is_asked_for_again_is_created_read_and_charged(client, kit, clock, provider, records):
    made = made_one(client, kit, clock, provider)
    assert (made.verdict, made.reads, made.display_name[:7]) == ("keep", {}, "ctxkit:")
    assert not any(record.usage.read for record in records)
    del records[:]
    with feature("chat"):
        answer = ask(client, "And 3 + 3?")
    assert answer.text == "Four."
    body = provider.requests[-1].json
    assert body["cachedContent"] == made.name
    assert not {"systemInstruction", "tools", "toolConfig"} & set(body)
    (record,) = records
    assert (record.status, record.number, record.usage.read) == ("settled", 1, made.tokens)
    assert record.savings > 0
    assert record.forecast["read"] == made.tokens
    assert record.notes[-1].startswith(f"reads the cache object {made.name}")
    clock.now += 120
    assert kit.caches.get(made.name).reads == {"chat": 1}
    kit.flush()
    charges = [row for row in kit.ledger.records() if row.dialect == "gemini.caches"]
    assert {row.feature: row.cost > 0 for row in charges} == {"chat": True, None: False}
    assert (
        sum(row.cost for row in charges)
        == kit.caches.get(made.name).creation_paid + kit.caches.get(made.name).storage_paid
    )
    assert not [row for row in kit.ledger.records() if row.status == "unmetered"]


def test_what_a_request_would_cost_is_foreseen(client, kit, clock, provider):
    made = made_one(client, kit, clock, provider)
    keeper = next(iter(kit.rooms.renting.tending.keepers.values()))
    with_tools = provider.requests[0].json
    body = {name: value for name, value in with_tools.items() if name != "tools"}
    plan = kit.plan(body, dialect="gemini.generate", platform=keeper.platform, model=MODEL, rental=keeper)
    assert plan.edits == (), "without the tools it is another prefix"
    assert plan.body is body
    plan = kit.plan(with_tools, dialect="gemini.generate", platform=keeper.platform, model=MODEL, rental=keeper)
    kept = {name: value for name, value in body.items() if name != "systemInstruction"}
    assert plan.body == {**kept, "cachedContent": made.name}
    assert plan.forecast.cached_tokens == made.tokens
    assert plan.forecast.guaranteed
    assert plan.estimate.usage.read == min(made.tokens, plan.estimate.input_tokens)
    assert plan.edits[0].predicted_saving > 0
    assert kit.plan(with_tools, dialect="gemini.generate", platform=keeper.platform, model=MODEL).edits == ()


def test_a_conversation_sends_only_what_is_new(client, kit, clock, provider):
    long = "Tell me about it. " * 2000
    turns = [types.Content(role="user", parts=[types.Part(text=long)])]
    for number in range(4):
        said = types.Content(role="model", parts=[types.Part(text="Well.")])
        more = types.Content(role="user", parts=[types.Part(text=f"And {number}?")])
        client.models.generate_content(model=MODEL, contents=[*turns, said, more])
        clock.now += 2
    kit.caches.tend()
    client.models.generate_content(model=MODEL, contents=[*turns, said, more])
    body = provider.requests[-1].json
    assert [content["role"] for content in body["contents"]] == ["model", "user"]
    assert body["cachedContent"]


def test_the_users_own_handle_is_the_users(client, kit, clock, provider):
    made = made_one(client, kit, clock, provider)
    client.models.generate_content(
        model=MODEL, contents="x", config=types.GenerateContentConfig(cached_content=made.name)
    )
    kit.caches.tend()
    assert provider.requests[-1].json["cachedContent"] == made.name
    assert len(kit.caches.list()) == 1
    assert kit.caches.list()[0].reads == {}


@pytest.mark.parametrize("policy", [None, Policy(mode="cache", cache_objects=False)], ids=["observe", "without"])
def test_who_does_not_want_it_gets_none(provider, clock, policy):
    kit = quiet(Kit(policy, clock=clock, strict=True))
    client = from_options(provider, kit)
    for _ in range(5):
        ask(client)
    kit.caches.tend()
    assert calls_of(provider) == []
    assert list(kit.caches.list()) == []
    kit.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_handle_that_is_gone_costs_the_user_nothing(client, kit, clock, provider, records, call):
    made = made_one(client, kit, clock, provider)
    provider.caches.handles = type(provider.caches.handles)()  # deleted by somebody else: 403
    del records[:]
    provider.clear()
    answer = call(client)
    assert "".join(part.text or "" for part in (answer if isinstance(answer, list) else [answer])) == "Four."
    first, second = (request.json for request in provider.requests)
    assert first["cachedContent"] == made.name
    assert "cachedContent" not in second
    assert {"systemInstruction", "tools", "contents"} <= set(second)
    assert [(r.status, r.http_status, r.number) for r in records] == [("failed", 403, 1), ("settled", 200, 2)]
    assert len({r.operation for r in records}) == 1
    assert kit.caches.get(made.name).verdict == "ended"
    provider.clear()
    ask(client)
    assert len(provider.requests) == 1, "the next one knows"


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_other_refusals_that_name_it_are_answered_likewise(kit, clock, provider, records, call, status, monkeypatch):
    client = from_options(provider, kit)
    made_one(client, kit, clock, provider)
    ours = provider.caches._from_handle

    def refused(ask, layout):
        from ctxkit.caching.simulator.entries import Refusal

        return type(ours(ask, layout))(ask, Refusal(status, "INVALID_ARGUMENT", "CachedContent has ended."))

    monkeypatch.setattr(provider.caches, "_from_handle", refused)
    answer = call(client)
    assert "".join(part.text or "" for part in (answer if isinstance(answer, list) else [answer])) == "Four."
    assert [(r.status, r.http_status) for r in records[-2:]] == [("failed", status), ("settled", 200)]
    closed(client)


def test_what_is_wrong_with_the_request_itself_is_told(kit, clock, provider, records):
    client = from_options(provider, kit)
    made_one(client, kit, clock, provider)
    del records[:]
    provider.behave(status=400)
    with pytest.raises(errors.ClientError):
        ask(client)
    assert [(r.status, r.http_status) for r in records] == [("failed", 400)], "nothing there to try again without"
    provider.behave(status=200)
    closed(client)


def test_a_quota_on_create_reaches_nobody(clock, records):
    caches = Cold(clock=clock, quota=0)
    kit = quiet(Kit(Policy(mode="cache"), clock=clock, strict=True))
    with FakeProvider(text="Four.", caches=caches) as provider:
        client = from_options(provider, kit)
        for _ in range(6):
            assert ask(client).text == "Four."
            clock.now += 5
            kit.caches.tend()
        assert calls_of(provider) == ["cachedContents"], "refused once, then it rests"
        caches.handles = type(caches.handles)()
        clock.now += 60
        for _ in range(3):
            ask(client)
            clock.now += 5
        kit.caches.tend()
        assert len(calls_of(provider)) == 2
        assert [one.verdict for one in kit.caches.list()] == ["keep"]
        closed(client)
    kit.close()


def test_it_is_prolonged_while_it_pays_and_then_let_go(client, kit, clock, provider):
    made = made_one(client, kit, clock, provider)
    first = made.expires
    while clock.now < first + 30:
        ask(client)
        clock.now += 10
        kit.caches.tend()
    prolonged = kit.caches.get(made.name)
    assert prolonged.expires > first
    assert provider.caches.handles.held[made.name].alive(clock.now)
    assert sum(prolonged.reads.values()) > 20
    for _ in range(200):
        clock.now += 10
        kit.caches.tend()
    let_go = kit.caches.get(made.name)
    assert let_go.verdict == "ended"
    assert not provider.caches.handles.held[made.name].alive(clock.now)
    assert let_go.storage_paid < let_go.saved
    assert let_go.net == let_go.saved - let_go.creation_paid - let_go.storage_paid


def test_by_hand(client, kit, clock, provider):
    with pytest.raises(ConfigurationError, match="client=genai"):
        kit.caches.delete("cachedContents/x")
    body = {"systemInstruction": {"parts": [{"text": RULES}], "role": "user"}}
    made = kit.caches.create(body, model=MODEL, seconds=600, client=client)
    assert (made.verdict, round(made.expires - clock.now)) == ("pinned", 600)
    assert kit.caches.create(body, model=MODEL, client=client) == made
    answer = client.models.generate_content(
        model=MODEL, contents="x", config=types.GenerateContentConfig(system_instruction=RULES)
    )
    assert answer.usage_metadata.cached_content_token_count == made.tokens
    assert kit.caches.refresh(made.name, seconds=4000, client=client).expires == clock.now + 4000
    assert kit.caches.get(made.name, remote=True).expires == pytest.approx(clock.now + 4000)
    clock.now += 3900
    kit.caches.tend()
    assert kit.caches.get(made.name).verdict == "pinned", "neither prolonged nor let go"
    kit.caches.delete(made.name)
    assert kit.caches.get(made.name).verdict == "ended"
    kit.caches.delete(made.name, client=client)  # gone already
    for wrong in ({}, {"contents": [{"role": "model", "parts": [{"text": RULES}]}]}, "text", {"cachedContent": "x"}):
        with pytest.raises(ConfigurationError, match="cache"):
            kit.caches.create(wrong, model=MODEL, client=client)
    with pytest.raises(CacheObjectError, match="too small") as refused:
        kit.caches.create({"systemInstruction": {"parts": [{"text": "x"}]}}, model=MODEL, client=client)
    assert refused.value.status == 400


def test_by_hand_in_event_loops(client, kit):
    async def all_of_them():
        body = {"systemInstruction": {"parts": [{"text": RULES}]}}
        made = await kit.caches.acreate(body, model=MODEL, client=client)
        assert (await kit.caches.aget(made.name)).name == made.name
        await kit.caches.arefresh(made.name, seconds=100, client=client)
        assert [one.name for one in await kit.caches.alist()] == [made.name]
        await kit.caches.adelete(made.name, client=client)

    asyncio.run(all_of_them())


def test_orphans_are_told_from_those_of_others(kit, provider, clock):
    client = from_options(provider, kit)
    made = made_one(client, kit, clock, provider)
    client.caches.create(model=MODEL, config={"system_instruction": RULES, "display_name": "mine"})
    client.caches.create(model=MODEL, config={"system_instruction": RULES, "display_name": "ctxkit:0123"})
    found = {one.verdict: one for one in kit.caches.list(remote=True)}
    assert set(found) == {"keep", "foreign", "orphan"}
    assert found["keep"].name == made.name
    (orphan,) = kit.caches.orphans()
    kit.caches.delete(orphan.name)
    assert list(kit.caches.orphans()) == []
    closed(client)


def test_a_creator_that_was_killed_leaves_an_heir_its_handle(provider, clock):
    """Killed between create and register: what it made is found by its name and used."""
    store = MemoryStore()
    first = quiet(Kit(Policy(mode="cache"), store=store, clock=clock))
    client = from_options(provider, first)
    first.rooms.renting.tending.registry.keep = lambda handle: (_ for _ in ()).throw(SystemExit)
    for _ in range(3):
        ask(client)
        clock.now += 5
    with contextlib.suppress(SystemExit):
        first.caches.tend()
    assert len(provider.caches.handles.held) == 1
    closed(client)
    second = quiet(Kit(Policy(mode="cache"), store=store, clock=clock, strict=True))
    client = from_options(provider, second)
    for _ in range(3):
        ask(client)
        clock.now += 1
    second.caches.tend()
    assert [one.verdict for one in second.caches.list()] == ["being created"], "its lease is not over"
    clock.now += 130
    for _ in range(8):
        ask(client)
        clock.now += 1
    second.caches.tend()
    assert len(provider.caches.handles.held) == 1, "none was made beside it"
    assert [one.name for one in second.caches.list()] == list(provider.caches.handles.held)
    ask(client)
    assert provider.requests[-1].json["cachedContent"] in provider.caches.handles.held
    closed(client)


def test_the_thread_does_it_by_itself(provider, clock):
    import time

    kit = Kit(Policy(mode="cache"), clock=clock, strict=True)
    client = from_options(provider, kit)
    for _ in range(400):
        ask(client)
        clock.now += 1
        if "cachedContent" in provider.requests[-1].json:
            break
        time.sleep(0.02)
    assert "cachedContent" in provider.requests[-1].json
    closed(client)
    kit.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_pool_of_one_connection_and_gzip_are_enough_to_go_again(kit, clock, provider, records, call):
    from ctxkit.integrations.tee import library_of

    library = library_of(kit.google_http_options().httpx_client)
    limits = {"limits": library.Limits(max_connections=1), "timeout": 5.0}
    client = from_options(provider, kit, client_args=limits, async_client_args=limits)
    made_one(client, kit, clock, provider)
    provider.behave(gzip=True, piece=3)
    provider.caches.handles = type(provider.caches.handles)()
    answer = call(client)
    assert "".join(part.text or "" for part in (answer if isinstance(answer, list) else [answer])) == "Four."
    assert [(r.status, r.http_status) for r in records[-2:]] == [("failed", 403), ("settled", 200)]
    closed(client)


def test_what_goes_wrong_when_it_goes_again_is_told_as_ever(kit, clock, provider, records, monkeypatch):
    """The line breaks between the two: what the HTTP client raises is what the call raises."""
    client = from_options(provider, kit)
    made_one(client, kit, clock, provider)
    provider.caches.handles = type(provider.caches.handles)()
    http = client._api_client._httpx_client
    send, sent = http.send, []

    def broken(request, **options):
        sent.append(request)
        if len(sent) == 2:
            raise ConnectionResetError("broken line")
        return send(request, **options)

    monkeypatch.setattr(http, "send", broken)
    del records[:]
    with pytest.raises(ConnectionResetError, match="broken line"):
        ask(client)
    assert b"cachedContent" not in sent[1].content
    assert [(r.status, r.http_status) for r in records] == [("failed", 403)]
    assert ask(client).text == "Four.", "and the next call knows"
    assert len(sent) == 3
    closed(client)
