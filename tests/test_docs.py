"""Every code block of the README and of the documentation runs.

Python blocks of a page share one namespace and run in order; ``$ ctxkit ...`` lines of console blocks run as commands.
SDK clients find the fake provider through the base-URL variables their SDKs document. A block right after the comment
``<!-- not run: reason -->`` is left out.
"""

import gc
import os
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import ctxkit
from ctxkit import testing
from ctxkit.caching.rules.finding import shipped
from ctxkit.testing import FakeProvider

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.ja.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?P<skip><!-- not run: [^>]+-->\s*)?^```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.M | re.S)
NEEDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google.genai": "google.genai",
    "boto3": "boto3",
    "litellm": "litellm",
    "pandas": "pandas",
    "polars": "polars",
    "langchain": "langchain",
    "langchain_openai": "langchain_openai",
    "langchain_anthropic": "langchain_anthropic",
    "llama_index": "llama_index",
    "pydantic_ai": "pydantic_ai",
    "agents": "agents",
    "instructor": "instructor",
    "headroom": "headroom",
    "gptcache": "gptcache",
    "httpx2": "httpx2",
}


def blocks(page, *kinds):
    text = page.read_text()
    for found in BLOCK.finditer(text):
        if found["kind"] in kinds and not found["skip"]:
            yield text[: found.start("code")].count("\n"), found["code"]


def runnable(page):
    return any(blocks(page, "python", "console"))


@pytest.fixture
def surroundings(monkeypatch, tmp_path):
    gc.freeze()  # what is collected after a page is what the page made
    with FakeProvider() as provider:
        for name, value in {
            "OPENAI_BASE_URL": provider.openai_url,
            "OPENAI_API_BASE": provider.openai_url,  # LlamaIndex's name for it
            "OPENAI_API_KEY": "none",
            "ANTHROPIC_BASE_URL": provider.anthropic_url,
            "ANTHROPIC_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": provider.gemini_url,
            "GEMINI_API_KEY": "none",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": provider.bedrock_url,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield provider


def missing(code):
    for package in NEEDS:
        if re.search(rf"^\s*(from|import) {package}\b", code, re.M):
            try:
                __import__(package)
            except ImportError:
                return package
    return None


LONG = {"docs/how-to/run.md", "docs/explanation/hygiene.md"}  # many processes, many requests
RUNNABLE = [
    pytest.param(page, id=name, marks=[pytest.mark.slow] if name in LONG else [])
    for page in PAGES
    if runnable(page) and (name := page.relative_to(ROOT).as_posix())
]


@pytest.mark.parametrize("page", RUNNABLE)
@pytest.mark.filterwarnings("ignore")  # pages leave their clients open, as short scripts do
def test_the_blocks_of_a_page_run_in_order(page, surroundings, capsys):
    namespace = {"__name__": "__docs__", "provider": surroundings}
    for line, code in blocks(page, "python", "console"):
        if code.lstrip().startswith("$"):
            run_commands(code)
        elif (package := missing(code)) is None:
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
        else:
            assert package not in sys.modules
    namespace.clear()
    gc.collect()


def run_commands(code):
    from ctxkit.cli import main

    for command in re.findall(r"^\$ ctxkit (.*)$", code, re.M):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "120")
            words = [{"python": sys.executable}.get(word, word) for word in shlex.split(command, comments=True)]
            if words[0] == "run" and find_spec("uvicorn") is None:
                continue
            try:
                result = main(words)
            except SystemExit as stop:
                result = stop.code or 0
        assert result in (0, 1), f"ctxkit {command} -> {result}"


def shown():
    """Commands that pages tell readers to type into their own shell."""
    for page in PAGES:
        for _, code in blocks(page, "sh"):
            for command in re.findall(r"^(?:\$ )?ctxkit (.*)$", code, re.M):
                yield page, command


def test_commands_for_the_reader_exist():
    assert list(shown())
    assert [(page, command) for page, command in shown() if not parsed(command)] == []


def parsed(command):
    from ctxkit.cli import parser_of

    try:
        parser_of().parse_args(shlex.split(command, comments=True))
    except SystemExit:
        return False
    return True


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def links(page):
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    return {(page.parent / target).resolve() for target in targets}


def test_every_page_is_found_from_the_first_one():
    found, new = set(), {ROOT / "docs" / "index.md"}
    while new:
        found |= new
        indexes = [page for page in new if page.name == "index.md"]  # what only some page mentions is hard to find
        new = {link for page in indexes for link in links(page) if link.suffix == ".md"} - found
    assert [page for page in sorted((ROOT / "docs").rglob("*.md")) if page not in found] == []


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_every_page_is_two_clicks_from_the_readme(name):
    first = links(ROOT / name)
    second = {link for page in first if page.suffix == ".md" for link in links(page)}
    assert set((ROOT / "docs").rglob("*.md")) - first - second == set()


def test_the_reference_tells_of_every_public_name():
    told = re.findall(r"^### `ctxkit\.((?:testing\.)?[A-Za-z_]+)`$", (ROOT / "docs/reference/api.md").read_text(), re.M)
    public = [name for name in ctxkit.__all__ if not name.startswith("__")]
    assert sorted(told) == sorted(public + [f"testing.{name}" for name in testing.__all__])


def measured():
    """Costs in the tables of the benchmarks: provider, conversations, row."""
    provider = conversations = ""
    for line in (ROOT / "docs/reference/benchmarks.md").read_text().splitlines():
        if line.startswith("## "):
            provider = line[3:]
        elif line.startswith("### "):
            conversations = line[4:]
        elif line.startswith("| ") and (found := re.match(r"[0-9.]+", line.split("|")[3].strip())):
            yield (provider, conversations, line.split("|")[1].strip(" *")), f"{float(found[0]):.2f}"


def quoted():
    """The same figures where other pages have them: tables that begin with these columns."""
    for page in PAGES:
        names = []
        for line in page.read_text().splitlines():
            cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
            if cells[:2] == ["provider", "conversations"]:
                names = cells[2:]
            elif not line.startswith("|"):
                names = []
            elif names and "---" not in cells[0]:
                for name, cell in zip(names, cells[2:], strict=True):
                    yield page, (cells[0], cells[1], name), cell


def test_figures_that_pages_quote_are_those_of_the_benchmarks():
    figures, told = dict(measured()), list(quoted())
    assert len(told) >= 30
    assert [(page, key, cell) for page, key, cell in told if figures.get(key, "-") != cell] == []


@pytest.mark.parametrize("page", sorted(page for page in PAGES if page.name.endswith(".ja.md")), ids=lambda p: p.name)
def test_a_translation_has_the_code_of_what_it_translates(page):
    original = page.with_name(page.name.replace(".ja.md", ".md"))
    ours, theirs = ([found["code"] for found in BLOCK.finditer(each.read_text())] for each in (page, original))
    assert ours == theirs
    assert original.name in page.read_text()
    assert page.name in original.read_text()


def test_every_row_of_the_rules_stands_on_one_page():
    shown = pytest.importorskip("scripts.rule_sheets").shown
    pages = (ROOT / "docs" / "reference" / "providers").glob("*.md")
    rows = [row.id for row in shipped().rows]
    assert sorted(row for page in pages for row in shown(page)) == sorted(rows)


def test_the_pages_speak_of_no_machine_of_ours():
    for page in PAGES:
        assert not re.search(r"/work/|/opt/v|/tmp/", page.read_text()), page
    assert os.sep in str(ROOT)
