"""A page is written whole or not at all."""

import os
import stat

import pytest

from ctxkit.errors import ConfigurationError
from ctxkit.page import save


def test_a_page_is_written_for_whom_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        place = save("<p>é</p>", tmp_path / "report.html")
    finally:
        os.umask(before)
    assert place == tmp_path / "report.html"
    assert place.read_bytes() == "<p>é</p>".encode()
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [place]


def test_an_old_page_is_replaced_and_keeps_its_mode_and_its_links(tmp_path):
    old, link = tmp_path / "old.html", tmp_path / "link.html"
    old.write_text("old")
    old.chmod(0o600)
    link.symlink_to(old)
    assert save("new", link) == old
    assert (old.read_text(), stat.S_IMODE(old.stat().st_mode), link.is_symlink()) == ("new", 0o600, True)


@pytest.mark.parametrize("name", [".", "missing/report.html", "file/report.html", "a\0b", "x" * 300])
def test_what_cannot_be_written_is_refused_in_a_line(tmp_path, name):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigurationError, match=r"^[^\n]+$"):
        save("page", tmp_path / name)
    assert [one.name for one in tmp_path.iterdir() if one.name != "ctxkit-home"] == ["file"]


def test_a_page_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    place = tmp_path / "report.html"
    place.write_text("old")
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(ConfigurationError, match="No space left"):
        save("new", place)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert place.read_text() == "old"


def test_a_pipe_is_written_to(tmp_path):
    read, write = os.pipe()
    save("page", f"/dev/fd/{write}" if os.path.exists("/dev/fd") else pytest.skip("no /dev/fd"))
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "page"
