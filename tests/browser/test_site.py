"""The documentation site, as ``scripts/docs`` makes it, in a browser: every page, on a desk and on a phone.

Skipped where the site was not made, or where Playwright or a Chromium is missing.
"""

import functools
import http.server
import threading
from pathlib import Path

import pytest

SITE = Path(__file__).parent.parent.parent / "site"
FOUND = {page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html") if "_static" not in page.parts}
PAGES = sorted(FOUND - {"index.html"})  # which only leads on

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAGES, reason="scripts/docs has not been run"),
]


@pytest.fixture(scope="module")
def address():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(chromium):  # one of them for all tests: Playwright starts only once
    return chromium


@pytest.fixture(params=[(1280, 900, "light"), (390, 844, "dark")], ids=["desk", "phone"])
def page(request, browser):
    width, height, scheme = request.param
    with browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme) as context:
        yield context.new_page()


def watched(page):
    """What a page asks for, and what it complains about."""
    asked, complaints = [], []

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # by the next page, which did not wait
            complaints.append(request.url)

    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", failed)
    page.on("response", lambda response: complaints.append(response.url) if response.status >= 400 else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    return asked, complaints


def test_every_page_shows_without_errors_and_asks_nobody_else(page, address):
    asked, complaints = watched(page)
    wide = []
    for name in PAGES:
        page.goto(f"{address}/{name}", wait_until="load")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(name)
    assert complaints == []
    assert {url for url in asked if not url.startswith(address)} == set()
    assert len(asked) > len(PAGES)
    assert wide == [], "pages that scroll sideways"


def test_what_is_sought_is_found(page, address):
    asked, complaints = watched(page)
    page.goto(f"{address}/search.html?q=cold+start")
    page.wait_for_selector("#search-results li a")
    assert "docs/how-to/cold-starts.html" in page.locator("#search-results").inner_html()
    assert complaints == []
    assert all(url.startswith(address) for url in asked)


def test_the_front_leads_to_the_drawers(page, address):
    page.goto(address)
    page.wait_for_url(f"{address}/docs/index.html")
    drawers = page.locator(".bd-header .nav-link").all_text_contents()
    assert [drawer.strip() for drawer in drawers[:4]] == ["Tutorial", "How to", "Reference", "Explanation"]


def test_a_japanese_page_says_so(page, address):
    page.goto(f"{address}/README.ja.html")
    assert page.locator("html").get_attribute("lang") == "ja"
