"""Looking at what coding agents leave here: their logs, how far they are read, and the hook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents import clock, locations, spool
from telemhq_agents.errors import TelemhqError
from telemhq_agents.usage import Source
from telemhq_cli.commands.config import here
from telemhq_cli.diagnosis.seen import CursorsSeen, HookSeen, LogsSeen, trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from telemhq_agents.ledger.records import Cursor
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.locations import Locations
    from telemhq_cli.diagnosis.seen import Trouble

LOG_SUFFIXES = (".jsonl", ".jsonl.zst")


def logs() -> list[LogsSeen]:
    """Return what is in each directory that may hold logs; reads none of them."""
    codex = [("codex", locations.codex_home() / name) for name in ("sessions", "archived_sessions")]
    claude = [("claude", home / "projects") for home in locations.claude_homes()]
    return [_logs_in(source, folder) for source, folder in [*codex, *claude]]


def _logs_in(source: str, folder: Path) -> LogsSeen:
    files, size, newest_ms = 0, 0, 0
    closed: list[str] = []

    def note(error: OSError) -> None:
        if isinstance(error, PermissionError):
            closed.append(str(error.filename))

    for parent, _, names in os.walk(folder, onerror=note):
        for name in names:
            if name.endswith(LOG_SUFFIXES):
                took, changed_ms = _stat(os.path.join(parent, name))  # noqa: PTH118 - ten thousand
                files += 1
                size += took
                newest_ms = max(newest_ms, changed_ms)
    newest = newest_ms or None
    return LogsSeen(source, str(folder), folder.is_dir(), files, size, tuple(closed), newest)


def _stat(path: str) -> tuple[int, int]:
    """Return a file's size and when it last changed."""
    try:
        found = os.stat(path)  # noqa: PTH116 - ten thousand of them
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns // 1_000_000


def cursors(ledger: Ledger | None) -> tuple[CursorsSeen, ...]:
    """Return how far the logs of each source are read into the ledger; without one, not at all."""
    from claude_code_hooks import transcript  # noqa: PLC0415 - one may be enough
    from codex_watcher import discover  # noqa: PLC0415 - same

    rollouts = discover.discover(locations.codex_home())
    transcripts, _ = transcript.discover(locations.claude_homes())
    found: dict[Source, list[tuple[str, Path]]] = {
        Source.CODEX: [(one.file_key, one.path) for one in rollouts],
        Source.CLAUDE: [(one.file_key, one.path) for one in transcripts],
    }
    return tuple(
        _cursors_of(source, there, {} if ledger is None else ledger.cursors(source))
        for source, there in found.items()
    )


def _cursors_of(
    source: Source, there: Iterable[tuple[str, Path]], known: Mapping[str, Cursor]
) -> CursorsSeen:
    count, behind, unread = 0, 0, 0
    for key, path in there:
        size, _ = _stat(str(path))
        held = known.get(key)
        # A log that was packed is shorter than it was; all of it is read.
        left = size if held is None else max(size - held.size, 0)
        count += 1
        behind += bool(left)
        unread += left
    return CursorsSeen(source.value, count, behind, unread)


def hook(ours: Locations, ledger: Ledger | None) -> HookSeen | Trouble:
    """Return how Claude Code's hook stands, and what it told."""
    from claude_code_hooks import install, silence  # noqa: PLC0415 - the hook's own files alone

    path = install.target(install.Scope.USER, os.environ, Path(here()))
    try:
        found = install.registered_in(path)
    except TelemhqError as error:
        return trouble(error)
    commands = {command for commands in found.commands.values() for command in commands}
    holding = install.settings_that_hold(os.environ, Path(here()))
    link = install.plugin_link(os.environ)
    ended, announced = _announced(ledger, path if commands else link)
    return HookSeen(
        claude_is_here=any((home / "projects").is_dir() for home in locations.claude_homes()),
        is_installed=bool(commands) or link.exists(),
        is_current=commands <= {install.command(ours)},
        settings=str(path),
        ended=ended,
        announced=announced,
        last_ms=_last_ms(ours, ledger) or None,
        silenced_by=tuple(silence.why_silent(holding, locations.claude_managed_settings())),
    )


def _announced(ledger: Ledger | None, installed: Path) -> tuple[int, int]:
    """Return how many turns ended since the hook was installed there, and how many it announced."""
    from claude_code_hooks import coverage, install  # noqa: PLC0415 - the hook's own files alone

    if ledger is None:
        return 0, 0
    since_ms = coverage.since_ms(installed, install.backup_of(installed), clock.now_ms())
    return ledger.announced_turns(Source.CLAUDE, since_ms)


def _last_ms(ours: Locations, ledger: Ledger | None) -> int:
    """Return when a hook last told of something, booked or still waiting; 0 for never."""
    from claude_code_hooks.drain import memory_of  # noqa: PLC0415 - only where there is a ledger
    from telemhq_agents.ledger.narrow import Narrow  # noqa: PLC0415 - same

    waiting_ms = spool.newest_ms(ours.spool, "hook")
    return waiting_ms if ledger is None else max(waiting_ms, memory_of(Narrow(ledger)).last_ms)
