from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.openai import completions, embeddings
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", [(("input",), "text", "text")]),
        (["a", "b"], [(("input", 0), "text", "a"), (("input", 1), "text", "b")]),
        ([1, 2, 3], [(("input",), "other", "")]),
        ([[1, 2], [3]], [(("input", 0), "other", ""), (("input", 1), "other", "")]),
        ([{"type": "image_url", "image_url": "u"}], [(("input", 0), "image", "")]),
    ],
)
def test_inputs_of_embeddings(value, expected):
    found = embeddings.view({"model": "text-embedding-3-small", "input": value, "dimensions": 8})
    assert [(part.path, part.kind, part.text) for part in found.parts] == expected
    assert (found.model, found.options["dimensions"]) == ("text-embedding-3-small", 8)


def test_prompt_and_suffix_of_a_completion():
    found = completions.view({"model": "m", "prompt": ["a", "b"], "suffix": "end", "max_tokens": 1})
    assert [(part.path, part.text) for part in found.parts] == [
        (("prompt", 0), "a"),
        (("prompt", 1), "b"),
        (("suffix",), "end"),
    ]
    assert set(found.options) == {"model", "max_tokens"}


@pytest.mark.parametrize("dialect", [embeddings, completions])
@pytest.mark.parametrize("body", [None, [], {}, {"input": None, "prompt": None}])
def test_what_is_neither_is_refused(dialect, body):
    with pytest.raises(ProviderShapeError):
        dialect.view(body)


@pytest.mark.parametrize("dialect", [embeddings, completions])
def test_these_formats_are_never_edited(dialect):
    body = {"input": "x", "prompt": "x"}
    assert dialect.apply(body, []) is body
    assert dialect.identity(body) is body
    with pytest.raises(ProviderShapeError, match="never edited"):
        dialect.apply(body, [Edit("replace", ("input",), "test", "y")])


def test_embeddings_have_no_output_and_some_report_the_total_alone():
    for reported in (
        {"prompt_tokens": 8, "total_tokens": 8},
        {"total_tokens": 8},
        {"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8},
    ):
        found = embeddings.answer({"model": "m", "usage": reported}, "voyage")
        assert (found.usage.fresh, found.usage.output, found.problems) == (8, 0, ())
    assert embeddings.answer({"data": []}, "openai").usage is None


def test_perplexity_embeddings_say_what_they_cost():
    reported = {
        "prompt_tokens": 7,
        "total_tokens": 7,
        "cost": {"currency": "USD", "input_cost": 2.8e-08, "total_cost": 2.8e-08},
    }
    assert str(embeddings.answer({"usage": reported}, "perplexity").cost) == "2.8E-8"


def test_a_completion_without_completion_tokens_has_an_unknown_output():
    found = completions.answer(
        {"choices": [{"text": "", "finish_reason": "stop"}], "usage": {"prompt_tokens": 11, "total_tokens": 11}},
        "openai",
    )
    assert (found.usage.fresh, found.usage.output, found.finish) == (11, None, "stop")


def test_a_streamed_completion():
    found = completions.stream("openai")
    found.feed(b'{"id":"c","choices":[{"text":"a"}]}')
    found.feed(
        b'{"id":"c","choices":[{"text":"","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
    )
    found.feed(b"[DONE]")
    assert (found.content, found.answer().complete, found.answer().usage.output) == (True, True, 1)


@given(
    st.dictionaries(
        st.sampled_from(["input", "prompt", "suffix"]),
        st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)),
    )
)
def test_any_body_is_viewed_or_refused(body):
    for dialect in (embeddings, completions):
        try:
            found = dialect.view(body)
        except ProviderShapeError:
            continue
        assert all(isinstance(part.text, str) for part in found.parts)
