"""The tutorial, typed line by line by somebody new, with times: `make newcomer-log`.

A fresh copy of the repository, empty homes, everything installed anew, real processes. Exits 1 where
something is not as the page says.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools.typed_pages import page
from tools.typed_pages.newcomer import ROOT, newcomer

if TYPE_CHECKING:
    from tools.typed_pages.newcomer import Difference, Newcomer
    from tools.typed_pages.page import Block

PAGE = ROOT / "docs" / "tutorial" / "first-team-report.md"


def typed(somebody: Newcomer, block: Block) -> list[Difference]:
    """Type a block command by command, print each with what it said and how long it took."""
    window = block.told.get("person") or block.told.get("terminal") or "first"
    found: list[Difference] = []
    for step in block.steps:
        is_last = step is block.steps[-1]
        told = block.told if is_last else {k: v for k, v in block.told.items() if k != "stays"}
        began = time.monotonic()
        found += somebody.type(page.Block(block.kind, told, (step,)))
        print(f"[{time.monotonic() - began:6.2f} s] {window}$ {step.command}", flush=True)
        said = somebody.window(
            block.told.get("person", ""), block.told.get("terminal", "")
        ).output()
        print("".join(f"             {line}\n" for line in said.rstrip().splitlines()), end="")
    return found


def main() -> int:
    blocks = page.blocks(PAGE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="telemhq-newcomer-") as folder:
        began = time.monotonic()
        with newcomer(Path(folder), is_fresh=True) as somebody:
            wrong = [
                difference
                for block in blocks
                if block.kind == "console" and "skip" not in block.told
                for difference in typed(somebody, block)
            ]
            took = time.monotonic() - began
    count = sum(len(block.steps) for block in blocks)
    print(f"\n{count} commands in {took:.1f} s; {len(wrong)} not as the page says.")
    for difference in wrong:
        print(f"  {difference.step.command} (exit code {difference.code})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
