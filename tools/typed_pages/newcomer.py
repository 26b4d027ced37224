"""Somebody with a fresh copy of the repository and an empty home, who types what a page says."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tools.typed_pages import page
from tools.typed_pages.page import Step
from tools.typed_pages.terminal import TypingTerminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.typed_pages.page import Block

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Makefile", "pyproject.toml", "requirements.lock", "requirements-uv.txt", "tools")
SHOWN_PORT = "8080"
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A command that did not do what its page says; `output` as the page would show it."""

    step: Step
    code: int
    output: str


@dataclass
class Newcomer:
    """Any number of windows, and what the words that vary turned out to be so far."""

    root: Path
    port: str
    is_fresh: bool = False
    known: dict[str, str] = field(default_factory=dict)
    windows: dict[tuple[str, str], TypingTerminal] = field(default_factory=dict)

    def window(self, person: str, name: str) -> TypingTerminal:
        if (person, name) not in self.windows:
            home = self.root / (person or "home")
            home.mkdir(exist_ok=True)
            environ = (of_the_network() if self.is_fresh else {}) | {
                "HOME": str(home),
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                "TELEMHQ_PORT": self.port,
                "PYTHONUNBUFFERED": "1",  # stdout and stderr in their order, as on a screen
            }
            log = self.root / f"{person}-{name}.log"
            self.windows[person, name] = TypingTerminal(log, self.root / "telemhq", environ)
        return self.windows[person, name]

    def type(self, block: Block) -> Iterator[Difference]:
        """Type a block's commands; yield those that did not do what the page says."""
        window = self.window(block.told.get("person", ""), block.told.get("terminal", ""))
        answer = block.told.get("answers")
        for step in block.steps:
            is_last = step is block.steps[-1]
            command = page.filled(step.command, self.known).replace(SHOWN_PORT, self.port)
            if "dry-run" in block.told and not self.is_fresh:
                command = f"MAKEFLAGS=n {command}"
            if is_last and "stays" in block.told:
                code = wanted = 0
                self.leave_running(window, command, step)
            else:
                code = window.type(command, page.filled(answer, self.known) if answer else None)
                wanted = int(block.told.get("exit", 0)) if is_last else 0
            output = window.output().replace(self.port, SHOWN_PORT)
            if not self.is_as_shown(step, output) or code != wanted:
                yield Difference(step, code, output)

    def leave_running(self, window: TypingTerminal, command: str, step: Step) -> None:
        """Begin what goes on, and wait until it shows what the page shows, for a while."""
        window.begin(command)
        deadline = time.monotonic() + PATIENCE_S
        while not self.is_as_shown(step, window.output().replace(self.port, SHOWN_PORT)):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)

    def is_as_shown(self, step: Step, output: str) -> bool:
        """Tell whether output is what the page shows, and keep the words that vary."""
        if not step.output:
            return True
        found = page.matched(page.filled(step.output, self.known), output)
        self.keep(found or {})
        return found is not None

    def keep(self, words: dict[str, str]) -> None:
        self.known |= {word: real.replace(SHOWN_PORT, self.port) for word, real in words.items()}


def of_the_network() -> dict[str, str]:
    """Return what of the environment says how packages are fetched here."""
    told = re.compile(r"(?i)(https?|all|no)_proxy|ssl_cert_.*|requests_ca_bundle|(pip|uv)_.*")
    return {name: value for name, value in os.environ.items() if told.fullmatch(name)}


def link(copy: Path) -> None:
    """Make a copy that holds what pages use of it, by links; its environment is there already."""
    copy.mkdir()
    for name in COPIED:
        (copy / name).symlink_to(ROOT / name)
    (copy / ".venv").symlink_to(sys.prefix)


def clone(copy: Path) -> None:
    """Make a copy as a clone has it, with what is not committed yet, and nothing installed."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, told.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)


@contextmanager
def newcomer(root: Path, *, is_fresh: bool = False) -> Iterator[Newcomer]:
    """Yield somebody at the top of a copy in an empty folder.

    Who is fresh has to install everything, as somebody new has to; the others find it there.
    """
    (clone if is_fresh else link)(root / "telemhq")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    somebody = Newcomer(root, port, is_fresh)
    with ExitStack() as closing:
        try:
            yield somebody
        finally:
            for window in somebody.windows.values():
                closing.callback(window.close)


def typed(text: str, root: Path) -> Iterator[tuple[Newcomer, Difference]]:
    """Type a whole page in an empty folder; yield what is not as the page says, as it happens."""
    with newcomer(root) as somebody:
        for block in page.blocks(text):
            if block.kind == "console" and "skip" not in block.told:
                for difference in somebody.type(block):
                    yield somebody, difference
