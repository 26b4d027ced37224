"""What MkDocs does for us beyond its own: the README as home, a navigation from the sections' indexes,
each page's Markdown beside it, llms.txt."""

from __future__ import annotations

import json
import posixpath
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # MkDocs loads this file by its path

from tools import docs_pages  # noqa: E402 - after its place is known
from tools.reference.openapi import document  # noqa: E402 - likewise

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page


def indexes(docs: Path) -> dict[str, str]:
    """Return the indexes of the sections, in their order."""
    return {
        folder: (docs / folder / docs_pages.INDEX).read_text(encoding="utf-8")
        for folder in docs_pages.SECTIONS
    }


def path_of(uri: str) -> str:
    """Return the file of the repository that a page of the site is made of."""
    beside = {there: name for name, there in docs_pages.ROOT_FILES.items()}
    return beside.get(uri, docs_pages.DOCS + uri)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.nav = docs_pages.navigation(indexes(Path(config.docs_dir)))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, uri in docs_pages.ROOT_FILES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    del config, files
    uri = page.file.src_uri
    return docs_pages.spaced(docs_pages.relinked(markdown, path_of(uri), uri))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    del config, files
    near = posixpath.relpath(docs_pages.mirror_uri(page.file.src_uri), page.url or ".")
    return f'{html}\n<p><small><a href="{near}">This page as Markdown</a></small></p>'


def on_post_build(config: MkDocsConfig) -> None:
    docs, site = Path(config.docs_dir), Path(config.site_dir)
    pages = [path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md"))]
    for uri in [*pages, *docs_pages.ROOT_FILES.values()]:
        path, there = path_of(uri), docs_pages.mirror_uri(uri)
        text = (ROOT / path).read_text(encoding="utf-8")
        mirrored = docs_pages.relinked(text, path, there, docs_pages.mirror_uri)
        (site / there).write_text(mirrored, encoding="utf-8")
    told = docs_pages.llms_txt(
        config.site_name, config.site_description or "", indexes(docs), config.site_url or ""
    )
    (site / "llms.txt").write_text(told, encoding="utf-8")
    (site / "openapi.json").write_text(json.dumps(document(), indent=1) + "\n", encoding="utf-8")
