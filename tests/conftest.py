"""What tests share: a home of their own, the fake provider, the way to the recorded data."""

from __future__ import annotations

import ast
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from ctxkit.testing import FakeProvider

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("CTXKIT_DATA") or ROOT / ".." / "shared" / "data").resolve()

_parse = ast.parse
_parsing = [threading.RLock()]


def _parse_alone(*args, **options):
    with _parsing[0]:
        return _parse(*args, **options)


# pytest rewrites the modules of its plugins, and so all of ctxkit, in whichever thread imports one first. Two threads that
# parse at once may end in "AST constructor recursion depth mismatch" (python/cpython#106905, seen with 3.11.7).
ast.parse = _parse_alone
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _parsing.__setitem__(0, threading.RLock()))

# A shell that runs tests in the background has them ignore an interrupt, and all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time: on a busy machine an example may take what it takes. Everywhere else examples are drawn at
# random, and CTXKIT_EXAMPLES says how many; CI takes more of them, always the same, so that it judges the change alone.
settings.register_profile("ctxkit", deadline=None, max_examples=int(os.environ.get("CTXKIT_EXAMPLES", "15")))
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.load_profile(os.environ.get("CTXKIT_PROFILE", "ctxkit"))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Who asks for all tests gets them from all processors; who names some, or a number of processes, gets just that."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.collectonly
    if everything and "PYTEST_XDIST_WORKER" not in os.environ and config.getoption("numprocesses", 0) is None:
        config.option.numprocesses = "auto"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests that speak HTTP wait a good part of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """What was imported by now stays: tests that collect garbage need not look through all of it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No test writes to the user's home or is led by the user's settings."""
    for name in [name for name in os.environ if name.startswith("CTXKIT_") and name != "CTXKIT_DATA"]:
        monkeypatch.delenv(name)
    # SDKs speak plain HTTP in here. Each client would read all certificate authorities, half of the time of its test.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    folder = tmp_path / "ctxkit-home"
    monkeypatch.setenv("CTXKIT_HOME", str(folder))
    yield folder
    defaults = sys.modules.get("ctxkit.defaults")
    if defaults is not None and defaults.default_kit.cache_info().currsize:
        defaults.default_kit().close()
        defaults.default_kit.cache_clear()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A fake provider that is running."""
    with FakeProvider() as running:
        yield running


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded exchanges and conversations, which is no part of the repository."""
    if not (DATA / "exchanges").is_dir():
        pytest.skip(f"no recorded data at {DATA}: set CTXKIT_DATA to the folder that holds exchanges/ and threads/")
    return DATA
