"""`telemhq statusline`: what Claude Code shows below its prompt; with `--shell`, what a shell does.

Both run it again and again, so it comes here without Typer, and imports next to nothing. Whatever is
missing, it prints one short line (a shell's may be empty) and exits 0.
"""

from __future__ import annotations

import os
import select
import time

from claude_code_hooks.hook import parse
from telemhq_agents import clock, failing
from telemhq_agents.ledger.glance import glance, glance_at_day
from telemhq_agents.ledger_file import ledger_file
from telemhq_cli.render import statusline as shown

TYPE_CHECKING = False  # typing itself costs 5 ms
if TYPE_CHECKING:
    from typing import Any

SHELL = "--shell"
MAX_STDIN_BYTES = 1 << 20
PATIENCE_S = 0.25
"""How long Claude Code may take to say what the line is about."""


def run(arguments: list[str]) -> int:
    """Print the line for the session that stdin tells of, or for a shell's prompt; return 0."""
    if SHELL in arguments:
        shown.show_bare(_prompt())
        return 0
    try:
        text = _line(_told(_stdin()))
    except Exception:  # noqa: BLE001 - an error has no place in somebody else's prompt
        text = shown.NOTHING_READ
    shown.show(shown.coloured(text) if "--color" in arguments else text)
    return 0


def _prompt() -> str:
    """Return a prompt's part: no stdin is read, which is the shell's own."""
    try:
        now_ms = clock.now_ms()
        return shown.prompt(
            glance_at_day(ledger_file(), midnight_ms(now_ms)), failing.known(now_ms)
        )
    except Exception:  # noqa: BLE001 - an error has no place in somebody else's prompt
        return ""


def _line(told: dict[str, Any]) -> str:
    session = _text(told.get("session_id"))
    found = glance(ledger_file(), session, midnight_ms(clock.now_ms()))
    if found is None:
        return shown.line(_model(told), None, None)
    of_session, today = found
    return shown.line(_model(told), of_session if session else None, today)


def midnight_ms(now_ms: int) -> int:
    """Return when the day began that a clock on this machine shows at `now_ms`."""
    day = time.localtime(now_ms // 1000)
    return int(time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))) * 1000


def _model(told: dict[str, Any]) -> str:
    model = told.get("model")
    known = model if isinstance(model, dict) else {}
    return _text(known.get("display_name")) or _text(known.get("id"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _told(data: bytes) -> dict[str, Any]:
    """Read what Claude Code says; {} where it says nothing that can be understood."""
    if not data.strip():
        return {}
    try:
        told = parse(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError, StopIteration):  # what the scanner itself raises
        return {}
    return told if isinstance(told, dict) else {}


def _stdin() -> bytes:
    """Return what is on stdin by now: a terminal, or a pipe that nobody closes, says nothing."""
    blocks, left = [], MAX_STDIN_BYTES
    until = clock.monotonic_ns() + int(PATIENCE_S * 1e9)
    try:
        while left > 0 and not os.isatty(0):
            wait_s = max((until - clock.monotonic_ns()) / 1e9, 0)
            if not select.select([0], [], [], wait_s)[0]:
                break
            block = os.read(0, 1 << 16)
            if not block:
                break
            blocks.append(block)
            left -= len(block)
    except (OSError, ValueError):
        return b"".join(blocks)  # stdin is closed
    return b"".join(blocks)
