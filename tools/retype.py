"""Types the commands of README and tutorial and has the pages show what really came: `make retype`.

Lines that are still right stay, with their `…`; look at the difference before you commit it. Exits 1
where a command itself failed: that is mended by hand.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tools.typed_pages import page
from tools.typed_pages.newcomer import ROOT, Difference, typed

PAGES = ("README.md", "docs/tutorial/first-team-report.md")


def retyped(text: str, folder: Path) -> tuple[str, list[Difference]]:
    """Return a page that shows what came, and what went wrong beyond that."""
    failed, shown = [], []
    for somebody, found in typed(text, folder):
        if not found.step.output:
            failed.append(found)
            continue
        lines, words = page.reshown(found.step.output, found.output)
        somebody.keep(words)
        shown.append((found.step, page.filled(lines, {b: a for a, b in somebody.known.items()})))
    for step, lines in reversed(shown):
        text = text[: step.at] + lines + text[step.at + len(step.output) :]
    return text, failed


def main() -> int:
    failures = 0
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix="telemhq-retype-") as folder:
            anew, failed = retyped(text, Path(folder))
        print(f"{name}: {'as it was' if anew == text else 'changed'}")
        for found in failed:
            print(f"  {found.step.command} ended with {found.code}:\n{found.output}")
        (ROOT / name).write_text(anew, encoding="utf-8")
        failures += len(failed)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
