"""What the site makes of Markdown that is also read on its own: order, links, mirror, llms.txt. Pure.

Pages link to each other as files of the repository do. In the site the README is the home page, and
the files beside it (SECURITY.md, …) are pages as well.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DOCS = "docs/"
HOME = "index.md"
ROOT_FILES = {
    "README.md": HOME,
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Files beside docs/ that are pages of the site, and what they are called there."""

SECTIONS = {
    "tutorial": "Tutorial",
    "how-to": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
    "decisions": "Decisions",
}
INDEX = "README.md"

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_ENTRY = re.compile(
    r"^(?:[-*]|\d+\.) \[(?P<title>[^\]]+)\]\((?P<page>[^)#]+\.md)\)(?::\s*(?P<says>.+))?$"
)
_FENCE = re.compile(r"^\s*(```|~~~)")
_LIST = re.compile(r"^(?:[-*+]|\d+\.) ")


@dataclass(frozen=True, slots=True)
class Entry:
    """A page as its section's index names it. `page` is relative to the section."""

    group: str
    title: str
    page: str
    says: str


def entries(index: str) -> list[Entry]:
    """Return the pages that a section's index lists, in its order, under its headings."""
    found, group = [], ""
    for line in index.splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ").strip()
        match = _ENTRY.match(line)
        if match:
            found.append(Entry(group, match["title"], match["page"], match["says"] or ""))
    return found


def navigation(indexes: dict[str, str]) -> list[object]:
    """Return MkDocs' navigation from the indexes of the sections, by folder."""
    nav: list[object] = [{"Home": HOME}]
    for folder, index in indexes.items():
        pages: list[object] = [f"{folder}/{INDEX}"]
        groups: dict[str, list[object]] = {}
        for entry in entries(index):
            page = {entry.title: f"{folder}/{entry.page}"}
            if not entry.group:
                pages.append(page)
                continue
            if entry.group not in groups:
                groups[entry.group] = []
                pages.append({entry.group: groups[entry.group]})
            groups[entry.group].append(page)
        nav.append({SECTIONS[folder]: pages})
    beside = [uri for name, uri in ROOT_FILES.items() if name != INDEX]
    return [*nav, {"Project": list(beside)}]


def site_uri(path: str) -> str | None:
    """Return what a file of the repository is called in the site; None where it is not in it."""
    if path in ROOT_FILES:
        return ROOT_FILES[path]
    return path.removeprefix(DOCS) if path.startswith(DOCS) else None


def outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """Change every line that is not part of a fenced block."""
    lines, fenced = [], False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
            lines.append(line)
        else:
            lines.append(line if fenced else change(line))
    return "\n".join(lines) + "\n"


def relinked(markdown: str, path: str, uri: str, named: Callable[[str], str] = str) -> str:
    """Return a page of the repository with its links as they are in the site.

    `path` is the page in the repository, `uri` the page in the site; `named` has the last word on
    what a linked page is called. Links to elsewhere, and to files that are not in the site, stay.
    """

    def line(text: str) -> str:
        return _LINK.sub(lambda found: found[1] + target(found[2]) + found[3], text)

    def target(link: str) -> str:
        file, hash_sign, anchor = link.partition("#")
        if not file or re.match(r"[a-z][a-z+.-]*:|/", file):
            return link
        there = site_uri(posixpath.normpath(posixpath.join(posixpath.dirname(path), file)))
        if there is None:
            return link
        near = posixpath.relpath(named(there), posixpath.dirname(uri) or ".")
        return near + hash_sign + anchor

    return outside_fences(markdown, line)


def spaced(markdown: str) -> str:
    """Return Markdown as Python-Markdown wants it: an empty line before a list, and before a table."""
    lines: list[str] = []
    fenced = False
    for line in markdown.splitlines():
        fenced ^= bool(_FENCE.match(line))
        if not fenced and lines and _begins_block(lines[-1], line):
            lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _begins_block(before: str, line: str) -> bool:
    for begins in (_LIST.match, re.compile(r"\|").match):
        if begins(line):
            return bool(before.strip()) and not begins(before) and not before.startswith(" ")
    return False


def mirror_uri(uri: str) -> str:
    """Return where a page's Markdown lies in the site: beside its folder, an index inside of it."""
    return re.sub(r"(^|/)README\.md$", r"\1index.md", uri)


def llms_txt(name: str, summary: str, indexes: dict[str, str], address: str = "") -> str:
    """Return the site for language models, in the form of https://llmstxt.org/."""
    parts = [f"# {name}", f"> {summary}"]
    for folder, index in indexes.items():
        lines = [
            f"- [{entry.title}]({address}{folder}/{entry.page})"
            + (f": {entry.says}" if entry.says else "")
            for entry in entries(index)
        ]
        parts.append(f"## {SECTIONS[folder]}\n\n" + "\n".join(lines))
    beside = [(uri, uri.removesuffix(".md").title()) for uri in ROOT_FILES.values() if uri != HOME]
    parts.append("## Optional\n\n" + _listed(beside, address))
    return "\n\n".join(parts) + "\n"


def _listed(pages: Iterable[tuple[str, str]], address: str) -> str:
    return "\n".join(f"- [{title}]({address}{uri})" for uri, title in pages)
