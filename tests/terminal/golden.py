"""What screens looked like when somebody last looked at them: `UPDATE_GOLDEN=1 make test-terminal`."""

from __future__ import annotations

import os
import re
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_cli.render.cells import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).resolve().parent / "golden"
UPDATES = bool(os.environ.get("UPDATE_GOLDEN"))
_CHANGING = (
    (re.compile(r"(http://127\.0\.0\.1:)\d{5}"), r"\g<1>00000"),
    (re.compile(r"(/ping/)[\w-]{24}"), r"\g<1>" + "x" * 24),
    (re.compile(r"\b\d{18}\b"), "0" * 18),
    (re.compile(r"(on workbench .*Z [│|] )(?:success|error  )"), r"\g<1>either "),
)
"""What is another one each time, and as long: ports, tokens of ping URLs, ids that a server gave, which run
of those that were sent at once came last."""
_PAINT = re.compile(r"\x1b\[([\d;:]*)m")
_A_COLOUR = re.compile(r"[349][0-8](?::.*)?|10[0-7]")
_RUBBISH = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]|\^\[|\[\d+(?:;\d+)*m|\[\?\d+[hl]")


def same_as_kept(name: str, lines: Sequence[str]) -> None:
    """Compare a screen with the one that is kept, or keep it where that is asked for."""
    text = "\n".join(steady(line) for line in lines) + "\n"
    path = FOLDER / f"{name}.txt"
    if UPDATES:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"there is no golden screen {path.name}; UPDATE_GOLDEN=1 keeps this one"
    kept = path.read_text(encoding="utf-8")
    other = unified_diff(kept.splitlines(), text.splitlines(), path.name, "now", lineterm="")
    assert text == kept, "\n".join(other)


def steady(line: str) -> str:
    """Return a line with a stand-in, as wide, for what is another one each time."""
    for pattern, instead in _CHANGING:
        line = pattern.sub(instead, line)
    return line.replace("\x1b", "\\e")


def colours(lines: Sequence[str]) -> set[str]:
    """Return the colours in painted lines; bold and faint are none, nor are a terminal's own."""
    codes = {code for line in lines for found in _PAINT.findall(line) for code in found.split(";")}
    return {code for code in codes if _A_COLOUR.fullmatch(code)}


def bare(lines: Sequence[str]) -> list[str]:
    """Return painted lines without their colours."""
    return [_PAINT.sub("", line).rstrip() for line in lines]


def faults(lines: Sequence[str], width: int, *, is_ascii: bool) -> list[str]:
    """Return what no screen may have: lines that the terminal had to wrap, bits of escapes, letters."""
    return [
        *(f"wider than {width}: {line!r}" for line in lines if columns(line) > width),
        *(f"rubbish: {line!r}" for line in lines if _RUBBISH.search(line)),
        *(f"not ASCII: {line!r}" for line in lines if is_ascii and not line.isascii()),
    ]
