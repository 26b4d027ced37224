"""Pictures: what a terminal was told, as SVG; those of the README are drawn by `make pictures`."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from tools.pictures import FOLDER, PICTURES, Picture, drawn

ROOT = FOLDER.parents[1]
PICTURE = Picture("made", ("tracker", "chart", "nightly job"))


def words_of(svg: str) -> list[str]:
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 - ours
    return [(text.text or "").replace("\xa0", " ").strip() for text in texts]


def test_a_picture_shows_what_was_typed_and_what_came_in_its_colours() -> None:
    svg = drawn(PICTURE, "\x1b[1mField\x1b[0m\n\x1b[31mfailing\x1b[0m ok\n")

    assert {"telemhq tracker chart 'nightly job'", "Field", "failing", "ok"} <= set(words_of(svg))
    assert svg == drawn(PICTURE, "\x1b[1mField\x1b[0m\n\x1b[31mfailing\x1b[0m ok\n")
    fills = dict(re.findall(r"\.(picture-made-r\d+) \{ fill: (#\w+)", svg))
    assert fills[re.findall(r'class="([\w-]+)"[^>]*>failing<', svg)[0]] == "#cc555a"


def test_a_picture_is_no_wider_than_what_it_shows() -> None:
    narrow, wide = (drawn(PICTURE, "x" * width) for width in (40, 80))

    assert width_of(narrow) < width_of(wide) < 2 * width_of(narrow)


def width_of(svg: str) -> float:
    return float(ET.fromstring(svg).attrib["viewBox"].split()[2])  # noqa: S314 - ours


def test_a_picture_asks_nobody_for_a_font() -> None:
    svg = drawn(PICTURE, "words")

    assert "@font-face" not in svg
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", svg)


def test_every_picture_is_drawn_and_shown_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    shown = set(re.findall(r"pictures/([\w-]+)\.svg\)", text))

    assert {path.stem for path in FOLDER.glob("*")} == {picture.name for picture in PICTURES}
    assert shown == {picture.name for picture in PICTURES}
    for picture in PICTURES:
        svg = (FOLDER / f"{picture.name}.svg").read_text(encoding="utf-8")
        assert f"telemhq {picture.command[0]}" in " ".join(words_of(svg)), picture.name
