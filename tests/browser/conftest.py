"""Pages in a real browser: Debian's Chromium, driven by Playwright. No page may ask anybody for anything."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

CHROMIUM = next(
    (Path(p) for p in (os.environ.get("CTXKIT_CHROMIUM", ""), "/usr/bin/chromium") if p and Path(p).exists()), None
)
ARTIFACTS = os.environ.get("CTXKIT_ARTIFACTS")  # read before the tests' own home hides it
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)  # without them it looks for updates


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """Where pictures are kept."""
    folder = Path(ARTIFACTS) if ARTIFACTS else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: scripts/browser installs it")
    if CHROMIUM is None:
        pytest.skip("no chromium: scripts/browser installs it, or set CTXKIT_CHROMIUM")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS.split())  # a fresh profile each time
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    """The rules of axe-core that a page breaks, as they come with axe-playwright-python."""
    package = pytest.importorskip("axe_playwright_python", reason="no axe: scripts/browser installs it")
    rules = (Path(package.__path__[0]) / "axe.min.js").read_text(encoding="utf-8")

    def broken(page):
        page.evaluate(rules)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]}" for one in found["violations"]]

    return broken


@pytest.fixture
def opened(chromium, tmp_path):
    """Open HTML as a file in an offline browser; when the test is over, nothing was complained of or asked for."""
    said, asked, contexts = [], [], []

    def open_page(html, width=1280, height=900, scheme="light", script=True, **options):
        file = tmp_path / f"page-{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            offline=True,
            java_script_enabled=script,
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))

        def route(way):
            address = urlsplit(way.request.url)
            if address.scheme == "file" and Path(unquote(address.path)) == file:
                way.continue_()
            else:
                asked.append(way.request.url)
                way.abort()

        context.route("**/*", route)
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert asked == []
