"""Collecting what `telemhq doctor` judges. Looks, and changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from telemhq_agents import clock, credentials, locations, spool
from telemhq_agents.errors import NotLoggedInError, TelemhqError
from telemhq_agents.usage import Source
from telemhq_cli import status
from telemhq_cli.diagnosis.seen import (
    AgentSeen,
    HookSeen,
    LogsSeen,
    OutboxSeen,
    ServerSeen,
    ServiceSeen,
    Snapshot,
    Trouble,
)

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.locations import Locations

LOG_SUFFIXES = (".jsonl", ".jsonl.zst")
SERVER_TIMEOUT_S = 10.0


def look(*, online: bool) -> Snapshot:
    """Return how things stand on this machine; with `online`, the server is asked too."""
    ours = locations.ours()
    held, trouble = _credentials(ours)
    outbox, unpriced, sends_to = _ledger(ours, held)
    return Snapshot(
        now_ms=clock.now_ms(),
        platform=locations.PLATFORM,
        agent=_agent(ours),
        service=_service(),
        hook=_hook(ours),
        spool_waiting=spool.pending_count(ours.spool),
        spool_damaged=spool.damaged_count(ours.spool),
        spool_is_full=spool.is_full(ours.spool),
        outbox=outbox,
        logs=tuple(_logs()),
        unpriced=unpriced,
        sends_to=sends_to,
        credentials=trouble,
        server=_server(ours, held) if online else None,
    )


def _agent(ours: Locations) -> AgentSeen:
    told = status.read(ours)
    last_pass = told.get("last_pass_ms")
    last_pass_ms = last_pass if isinstance(last_pass, int) else None
    problems = tuple(told.get("last_pass", {}).get("problems", ()))
    if not status.is_running(ours):
        return AgentSeen(last_pass_ms=last_pass_ms, problems=problems)
    return AgentSeen(
        is_running=True,
        pid=told.get("pid"),
        last_pass_ms=last_pass_ms,
        watching_by=told.get("watching_by", ""),
        why_polling=told.get("why_polling", ""),
        problems=problems,
    )


def _service() -> ServiceSeen | Trouble:
    from telemhq_agents.service import choosing, installing  # noqa: PLC0415 - subprocess

    try:
        wanted = choosing.choose(installing.run)
        stands = installing.standing(wanted, installing.run)
    except TelemhqError as error:
        return _trouble(error)
    return ServiceSeen(
        manager=wanted.manager.value,
        is_proven=wanted.is_proven,
        is_installed=stands.is_installed,
        is_current=stands.is_current,
        is_active=stands.is_active,
        answers=stands.answers,
    )


def _hook(ours: Locations) -> HookSeen | Trouble:
    from pathlib import Path  # noqa: PLC0415 - the hook's own files alone

    from claude_code_hooks import install, silence  # noqa: PLC0415 - same

    path = install.target(install.Scope.USER, os.environ, Path.cwd())
    try:
        found = install.registered_in(path)
    except TelemhqError as error:
        return _trouble(error)
    wanted = install.command(ours)
    by_plugin = install.plugin_link(os.environ).exists()
    commands = {command for commands in found.commands.values() for command in commands}
    holding = install.settings_that_hold(os.environ, Path.cwd())
    ended, announced = _announced(ours, path if commands else install.plugin_link(os.environ))
    return HookSeen(
        claude_is_here=any((home / "projects").is_dir() for home in locations.claude_homes()),
        is_installed=bool(commands) or by_plugin,
        is_current=commands <= {wanted},
        settings=str(path),
        ended=ended,
        announced=announced,
        silenced_by=tuple(silence.why_silent(holding, locations.claude_managed_settings())),
    )


def _announced(ours: Locations, installed: Path) -> tuple[int, int]:
    """Return how many turns ended since the hook was installed there, and how many it announced."""
    from claude_code_hooks import coverage, install  # noqa: PLC0415 - the hook's own files alone
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - SQLite

    if not ours.ledger.exists():
        return 0, 0
    since_ms = coverage.since_ms(installed, install.backup_of(installed), clock.now_ms())
    try:
        with Ledger.open(ours.ledger) as ledger:
            return ledger.announced_turns(Source.CLAUDE, since_ms)
    except TelemhqError:
        return 0, 0  # the ledger's own finding tells why


def _credentials(ours: Locations) -> tuple[Credentials, Trouble | None]:
    try:
        held = credentials.load(ours.credentials)
    except TelemhqError as error:
        return credentials.Credentials(), _trouble(error)
    if credentials.exposed(ours.credentials):
        message = f"Others than you may read {ours.credentials}."
        return held, Trouble(message, f"chmod 600 {ours.credentials}")
    return held, None


def _ledger(
    ours: Locations, held: Credentials
) -> tuple[OutboxSeen | Trouble, tuple[tuple[str, int], ...], tuple[tuple[str, str], ...]]:
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - SQLite
    from telemhq_cli.commands.outbox import label  # noqa: PLC0415 - same

    if not ours.ledger.exists():
        return OutboxSeen(), (), ()
    try:
        with Ledger.open(ours.ledger) as ledger:
            sends_to = tuple(
                (source.value, label(ledger.destination(source), held)) for source in Source
            )
            return _outbox(ledger), _unpriced(ledger), sends_to
    except TelemhqError as error:
        return Trouble(error.message, error.next_step or "telemhq ledger verify"), (), ()


def _outbox(ledger: Ledger) -> OutboxSeen:
    from telemhq_agents.ledger.records import OutboxState  # noqa: PLC0415 - SQLite

    counts = ledger.counts()
    pending = ledger.outbox(OutboxState.PENDING) if counts.pending else []
    oldest_ms = min((row.created_ms for row in pending), default=None)
    return OutboxSeen(counts.pending, counts.parked, counts.uncertain, oldest_ms)


def _unpriced(ledger: Ledger) -> tuple[tuple[str, int], ...]:
    rows = ledger.usage(("model",)).rows
    found = [(row.keys[0], row.amounts.unpriced_tokens) for row in rows]
    return tuple(sorted((one for one in found if one[1]), key=lambda one: -one[1]))


def _logs() -> list[LogsSeen]:
    codex = [("codex", locations.codex_home() / name) for name in ("sessions", "archived_sessions")]
    claude = [("claude", home / "projects") for home in locations.claude_homes()]
    return [_logs_in(source, folder) for source, folder in [*codex, *claude]]


def _logs_in(source: str, folder: Path) -> LogsSeen:
    files, size = 0, 0
    closed: list[str] = []

    def note(error: OSError) -> None:
        if isinstance(error, PermissionError):
            closed.append(str(error.filename))

    for parent, _, names in os.walk(folder, onerror=note):
        for name in names:
            if name.endswith(LOG_SUFFIXES):
                files += 1
                size += _size_of(os.path.join(parent, name))  # noqa: PTH118 - ten thousand of them
    return LogsSeen(source, str(folder), folder.is_dir(), files, size, tuple(closed))


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - same
    except OSError:
        return 0


def _server(ours: Locations, held: Credentials) -> ServerSeen | None:
    from telemhq_agents import settings  # noqa: PLC0415 - httpx
    from telemhq_agents.delivery.client import ApiClient  # noqa: PLC0415 - same

    url = ""
    try:
        login = credentials.login(settings.load(ours.settings), held)
        url = login.url
        with ApiClient(url, login.api_key, timeout_s=SERVER_TIMEOUT_S) as client:
            client.me()
    except NotLoggedInError:
        return None
    except TelemhqError as error:
        return ServerSeen(url, _trouble(error))
    return ServerSeen(url)


def _trouble(error: TelemhqError) -> Trouble:
    return Trouble(error.message, error.next_step)
