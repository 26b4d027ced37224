"""The site: built from the Markdown of the repository, whole, and asking nobody else for anything."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools import docs_pages

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
ASSETS = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


class Referring(HTMLParser):
    """What a page has its reader's browser fetch, where it leads to, and the names in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.assets: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.names |= {told[name] for name in ("id", "name") if name in told}
        if ASSETS.get(tag) in told:
            self.assets.append(told[ASSETS[tag]])
        if tag == "a" and "href" in told:
            self.links.append(told["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def told(site: Path) -> dict[Path, Referring]:
    return {page: Referring(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}


def test_no_page_has_a_browser_ask_another_host_for_anything(
    site: Path, told: dict[Path, Referring]
) -> None:
    remote = [
        f"{page.relative_to(site)}: {asset}"
        for page, referring in told.items()
        for asset in referring.assets
        if urlsplit(asset).netloc
    ]

    assert len(told) > 40
    assert remote == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", sheet.read_text()), sheet


def test_every_link_of_the_site_leads_somewhere(site: Path, told: dict[Path, Referring]) -> None:
    broken = []
    for page, referring in told.items():
        if page.name in {"404.html", "search.html"}:
            continue
        for link in (*referring.links, *referring.assets):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            there = there / "index.html" if there.is_dir() else there
            if not there.exists() or (
                parts.fragment and there in told and parts.fragment not in told[there].names
            ):
                broken.append(f"{page.relative_to(site)}: {link}")

    assert broken == []


def test_every_page_is_in_the_index_of_its_section_once_and_says_what_it_is_about() -> None:
    listed = []
    for folder in docs_pages.SECTIONS:
        index = (DOCS / folder / docs_pages.INDEX).read_text(encoding="utf-8")
        entries = docs_pages.entries(index)
        assert [entry.title for entry in entries if not entry.says] == []
        listed += [f"{folder}/{entry.page}" for entry in entries]
        listed.append(f"{folder}/{docs_pages.INDEX}")

    assert sorted(listed) == PAGES


def test_each_page_has_its_markdown_beside_it_with_links_that_work(site: Path) -> None:
    broken = []
    for uri in [*PAGES, *docs_pages.ROOT_FILES.values()]:
        mirror = site / docs_pages.mirror_uri(uri)
        page = mirror.with_suffix("") / "index.html"
        assert page.exists() or mirror.with_name("index.html").exists(), uri
        text = re.sub(r"(?ms)^```.*?^```$", "", mirror.read_text(encoding="utf-8"))
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path = urlsplit(link).path
            if path and not urlsplit(link).scheme and not (mirror.parent / path).is_file():
                broken.append(f"{mirror.relative_to(site)}: {link}")

    assert broken == []


def test_llms_txt_names_every_page_in_the_form_of_llmstxt_org(site: Path) -> None:
    lines = (site / "llms.txt").read_text(encoding="utf-8").splitlines()
    links = [re.fullmatch(r"- \[[^\]]+\]\(([^)]+)\)(: .+)?", line) for line in lines[3:]]
    paths = [link[1] for link in links if link]

    assert lines[0] == "# TelemHQ"
    assert lines[2].startswith("> Know what your AI jobs")
    assert all(
        link or not line or line.startswith("## ")
        for line, link in zip(lines[3:], links, strict=True)
    )
    assert [path for path in paths if not (site / path).is_file()] == []
    assert {page for page in PAGES if posixpath.basename(page) != docs_pages.INDEX} <= set(paths)


def test_the_site_holds_the_openapi_document(site: Path) -> None:
    assert "/ping/{tracking_token}" in json.loads((site / "openapi.json").read_text())["paths"]


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("docs/how-to/cron.md", "how-to/cron.md"),
        ("docs/how-to/cron.md#wrap-it", "how-to/cron.md#wrap-it"),
        ("SECURITY.md", "security.md"),
        ("https://example.com/docs/a.md", "https://example.com/docs/a.md"),
        ("#read-on", "#read-on"),
        ("docs/pictures/usage.svg", "pictures/usage.svg"),
    ],
)
def test_links_of_the_readme_fit_its_place_in_the_site(link: str, there: str) -> None:
    moved = docs_pages.relinked(f"See ![it]({link}).", "README.md", "index.md")

    assert moved == f"See ![it]({there}).\n"


def test_what_stands_in_a_fence_is_left_alone() -> None:
    text = "```\n[a](docs/a.md)\n- b\n```\nwords\n- c\n"

    assert docs_pages.relinked(text, "README.md", "index.md") == text
    assert docs_pages.spaced(text) == "```\n[a](docs/a.md)\n- b\n```\nwords\n\n- c\n"


PICTURE = re.compile(r"!\[(?P<says>[^\]]*)\]\((?P<path>[^)]+\.svg)\)")


def test_pictures_of_the_readme_are_whole_and_ask_nobody_for_a_font() -> None:
    from xml.etree import ElementTree as ET

    shown = PICTURE.findall((ROOT / "README.md").read_text(encoding="utf-8"))

    assert len(shown) >= 2
    for says, path in shown:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert says, path
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - ours
        assert not re.search(r"url\(['\"]?https?:|<image|<script", text), path


def test_no_list_table_or_fence_is_left_as_text(site: Path) -> None:
    left = [
        f"{page.relative_to(site)}: {text}"
        for page in sorted(site.rglob("index.html"))
        for text in re.findall(
            r"<p>(?:\||```)[^<]{0,60}|<p>[^<]*\n(?:[-*]|\d\.) [^<]{0,60}",
            page.read_text(encoding="utf-8"),
        )
    ]

    assert left == []


@pytest.mark.parametrize("target", ["docs", "reference", "pictures", "retype", "newcomer-log"])
def test_make_knows_the_target(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    module = re.search(r"-m (tools\.\w+)", done.stdout)
    assert "mkdocs build --strict" in done.stdout or module
    assert module is None or (ROOT / f"{module[1].replace('.', '/')}.py").is_file()
