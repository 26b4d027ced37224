"""A person at a terminal in which Claude Code runs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.real.programs import CLAUDE_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.real.programs import Coder

ESCAPE, ENTER = b"\x1b", b"\r"
LONGEST_WAIT_S = 40


@dataclass
class Terminal:
    """Keys go in; what the program draws is read and let go, so that it never waits for us."""

    keys: int
    process: subprocess.Popen[bytes]
    drawn: bytes = b""

    def waits(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_S
        while not condition():
            assert time.monotonic() < deadline, self.drawn[-3000:]
            self.looks(0.1)

    def looks(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self.keys], [], [], left)
            if ready:
                with suppress(OSError):  # the program has closed its end
                    self.drawn += os.read(self.keys, 65536)

    def types(self, text: str) -> None:
        os.write(self.keys, text.encode())
        self.looks(0.5)  # as one paste, Enter would be part of the text
        os.write(self.keys, ENTER)

    def presses(self, key: bytes) -> None:
        os.write(self.keys, key)

    def leaves(self) -> None:
        self.types("/exit")
        self.waits(lambda: self.process.poll() is not None)


@contextmanager
def claude_in_a_terminal(coder: Coder) -> Iterator[Terminal]:
    """Start Claude Code as a person would who has used it before."""
    known = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    state = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [coder.environ["ANTHROPIC_API_KEY"][-20:]]},
        "projects": {str(coder.project): known},
    }
    (coder.home / "claude").mkdir(exist_ok=True)
    (coder.home / "claude" / ".claude.json").write_text(json.dumps(state))
    # Titles are asked for only where traffic beyond the talk is allowed.
    environ = coder.environ | {"TERM": "xterm-256color", "DISABLE_TELEMETRY": "1"}
    del environ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    own = (f"--model={CLAUDE_MODEL}", "--permission-mode=default", "--allowedTools=Bash")
    process = subprocess.Popen(
        [str(coder.programs / "claude"), *own],
        cwd=coder.project,
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
