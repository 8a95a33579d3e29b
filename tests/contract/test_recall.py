"""Recall beside wrapped clients: the thread that a plan names is the one under which the door keeps what it removes."""

import pytest

from ctxkit import Kit, Policy, StoreError, recall_tool

openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
anthropic = pytest.importorskip("anthropic", reason="the Anthropic SDK is not installed")


def text_of(turn):
    return "\n".join(f"line {turn}-{line} of something else {turn * line}" for line in range(300))


def chat(turns):
    messages = [{"role": "system", "content": "You read code. " * 300}, {"role": "user", "content": "Find the bug."}]
    for turn in range(turns):
        function = {"name": "read_file", "arguments": f'{{"path": "f{turn}.py"}}'}
        call = {"id": f"c{turn}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{turn}", "content": text_of(turn)})
    return {"model": "gpt-5.6", "messages": messages, "tools": [recall_tool("openai.chat")]}


def claude(turns):
    messages = [{"role": "user", "content": "Find the bug."}]
    for turn in range(turns):
        call = {"type": "tool_use", "id": f"c{turn}", "name": "read_file", "input": {"path": f"f{turn}.py"}}
        result = {"type": "tool_result", "tool_use_id": f"c{turn}", "content": text_of(turn)}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return {
        "model": "claude-opus-5",
        "max_tokens": 50,
        "system": "You read code. " * 300,
        "messages": messages,
        "tools": [recall_tool("anthropic.messages")],
    }


@pytest.mark.parametrize(("platform", "dialect", "request_of"), [
    pytest.param("openai", "openai.chat", chat, marks=pytest.mark.slow),
    ("anthropic", "anthropic.messages", claude),
])  # fmt: skip
def test_what_a_wrapped_client_did_not_send_can_be_asked_for(provider, platform, dialect, request_of):
    kit = Kit(Policy(mode="prune"), strict=True)
    threads = []
    kit.listeners.append(lambda record: threads.append(record.thread))
    if platform == "openai":
        client = kit.wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"), platform=platform)
        create = client.chat.completions.create
    else:
        client = kit.wrap(anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none"), platform=platform)
        create = client.messages.create
    refs, thread = (), ""
    for turn in range(1, 30):
        body = request_of(turn)
        plan = kit.plan(body, dialect=dialect, platform=platform)
        refs, thread = plan.tidied.refs, plan.thread
        create(**body)
        assert threads[-1] == thread
    assert refs
    assert kit.recall(refs[0], thread=thread) in [text_of(turn) for turn in range(30)]
    sent = provider.requests[-1].json
    assert "ctxkit_recall" in str(sent["messages"])
    assert refs[0] in str(sent["messages"])
    with pytest.raises(StoreError):
        kit.recall(refs[0], thread="another")
    client.close()
    kit.close()
