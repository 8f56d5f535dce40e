"""The book is built without a warning and without the net, and every link in it leads somewhere."""

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_COPIED = shutil.ignore_patterns(".*", "runs", "build", "dist", "_build", "_notebooks", "__pycache__", "*.egg-info")


class Page(HTMLParser):
    """What a page links to, what it loads, and the names that it can be linked to by."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.names = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names.add(attributes.get("id"))
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif tag == "link" and attributes.get("rel") in ("stylesheet", "icon", "preload") or "src" in attributes:
            self.loads.append(attributes.get("href") or attributes["src"])


def leads_nowhere(path, link, pages):
    """Whether a link of the page at `path` is within the book and there is nothing where it leads."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target in pages:
        return bool(parts.fragment) and unquote(parts.fragment) not in pages[target].names
    return not target.exists()


@pytest.mark.slow
def test_the_book(tmp_path):
    for package in ("sphinx", "myst_nb", "furo", "latex2mathml"):
        pytest.importorskip(package)
    shutil.copytree(ROOT, tmp_path / "project", ignore=NOT_COPIED)
    html = tmp_path / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(html)]
    environment = {**os.environ, "MINIGRAD_FAST": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(command, cwd=tmp_path / "project", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]

    pages = {path.resolve(): Page(path) for path in html.rglob("*.html")}
    index = (html / "searchindex.js").read_text(encoding="utf-8")
    assert len(pages) > 40 and all(word in index for word in ("im2col", "momentum", "deconvnet"))
    lost = [f"{path.relative_to(html)}: {link}" for path, page in pages.items() for link in page.links if leads_nowhere(path, link, pages)]
    assert not lost, "\n".join(lost)
    fetched = [f"{path.name}: {link}" for path, page in pages.items() for link in page.loads if urlsplit(link).netloc]
    assert not fetched, "\n".join(fetched)
    places = [path.name for path in pages for place in (str(tmp_path), "site-packages") if place in path.read_text(encoding="utf-8")]
    assert not places, f"these pages tell where the book was built: {places}"
    text = (html / "_notebooks" / "05_pooling_and_lrn.html").read_text(encoding="utf-8")
    assert "<math" in text and "<img" in text
