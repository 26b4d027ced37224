"""Whatever is printed is printed by `render/`: one place knows of terminals, JSON and closed pipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import telemhq_cli

ROOT = Path(telemhq_cli.__file__).parent
BY_HAND = re.compile(r"(?<![\w.])print\(|typer\.echo|sys\.std(out|err)\.(write|buffer)|Console\(")
TO_PROGRAMS = {Path("reading.py"), Path("completion/answering.py")}
"""What tells a process of our own what it read, and a shell what it may complete."""
ELSEWHERE = sorted(
    path.relative_to(ROOT)
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] != "render"
)


def test_the_look_sees_what_is_printed_by_hand() -> None:
    written = (ROOT / "render" / "voice.py").read_text(encoding="utf-8")

    assert BY_HAND.search(written)
    assert len(ELSEWHERE) > 60


@pytest.mark.parametrize("path", ELSEWHERE, ids=str)
def test_nothing_outside_of_render_prints(path: Path) -> None:
    found = BY_HAND.search((ROOT / path).read_text(encoding="utf-8"))

    assert path in TO_PROGRAMS or found is None, found
