"""What is on its way to a server, and whether one is there. Pure."""

from __future__ import annotations

from telemhq_cli.diagnosis.finding import Finding, Severity
from telemhq_cli.diagnosis.seen import Snapshot, Trouble
from telemhq_cli.render.words import counted, duration, whole

OLD_PING_MS = 3_600_000
CLOSE_CLOCKS_MS = 5_000
"""The server tells its time in whole seconds."""
FAR_CLOCKS_MS = 60_000
SET_CLOCK = {
    "linux": "sudo timedatectl set-ntp true",
    "darwin": "sudo sntp -sS time.apple.com",
    "win32": "w32tm /resync",
}


def usage_goes_somewhere(seen: Snapshot) -> Finding:
    """Tell where usage is sent."""
    sent = [f"{source} to {place}" for source, place in seen.sends_to if place]
    if sent:
        return Finding("login", Severity.OK, f"Usage goes: {', '.join(sent)}.")
    message = "Usage stays on this machine: there is no login."
    return Finding("login", Severity.NOTE, message, "telemhq login --url URL")


def server_answers(seen: Snapshot) -> Finding | None:
    """Tell whether the server answers, where there is one to ask."""
    server = seen.server
    if server is None:
        return None
    if server.is_skipped:
        return Finding("server", Severity.OK, f"{server.url} was not asked (--offline).")
    if server.trouble is not None:
        return Finding("server", Severity.ERROR, server.trouble.message, server.trouble.next_step)
    took = f" in {duration(server.took_ms)}" if server.took_ms is not None else ""
    return Finding("server", Severity.OK, f"{server.url} answers{took}, and takes the key.")


def clocks_agree(seen: Snapshot) -> Finding | None:
    """Tell how far this machine's clock is from the server's: runs are filed by it."""
    if seen.server is None or seen.server.ahead_ms is None:
        return None
    apart_ms = abs(seen.server.ahead_ms)
    if apart_ms <= CLOSE_CLOCKS_MS:
        return Finding("clock", Severity.OK, "This machine's clock agrees with the server's.")
    how = "behind" if seen.server.ahead_ms > 0 else "ahead of"
    message = f"This machine's clock is {duration(apart_ms)} {how} the server's."
    severity = Severity.WARNING if apart_ms > FAR_CLOCKS_MS else Severity.NOTE
    return Finding("clock", severity, message, SET_CLOCK.get(seen.platform, ""))


def outbox_is_empty(seen: Snapshot) -> Finding:
    """Tell of pings that wait to be sent."""
    outbox = seen.outbox
    if isinstance(outbox, Trouble):
        return Finding("ledger", Severity.ERROR, outbox.message, outbox.next_step)
    if not outbox.pending:
        return Finding("outbox", Severity.OK, "Nothing waits to be sent.")
    waits_ms = max(seen.now_ms - (seen.now_ms if outbox.oldest_ms is None else outbox.oldest_ms), 0)
    message = (
        f"Waiting to be sent: {counted(outbox.pending, 'ping')},"
        f" the oldest for {duration(waits_ms)}."
    )
    if waits_ms < OLD_PING_MS:
        return Finding("outbox", Severity.NOTE, message)
    return Finding("outbox", Severity.WARNING, message, "telemhq agent outbox")


def pings_are_accepted(seen: Snapshot) -> Finding | None:
    """Tell of pings that a server refused."""
    if isinstance(seen.outbox, Trouble) or not seen.outbox.parked:
        return None
    message = f"Refused by a server: {counted(seen.outbox.parked, 'ping')}."
    return Finding("parked", Severity.ERROR, message, "telemhq agent outbox")


def pings_are_certain(seen: Snapshot) -> Finding | None:
    """Tell of pings of which nobody knows whether they arrived."""
    if isinstance(seen.outbox, Trouble) or not seen.outbox.uncertain:
        return None
    message = f"Sent, but never answered: {counted(seen.outbox.uncertain, 'ping')}."
    return Finding("uncertain", Severity.WARNING, message, "telemhq agent outbox")


def spool_is_taken_in(seen: Snapshot) -> Finding:
    """Tell of entries that wait in the spool."""
    if not seen.spool_waiting:
        return Finding("spool", Severity.OK, "Nothing waits in the spool.")
    severity = Severity.NOTE if seen.agent.is_running else Severity.WARNING
    noun = "entry" if seen.spool_waiting == 1 else "entries"
    message = f"In the spool: {whole(seen.spool_waiting)} {noun}."
    return Finding("spool", severity, message, "telemhq agent once")


def spool_has_room(seen: Snapshot) -> Finding | None:
    """Tell of so many entries that hooks leave no more."""
    if not seen.spool_is_full:
        return None
    message = "So many entries wait in the spool that hooks leave no more."
    return Finding("full spool", Severity.WARNING, message, "telemhq agent once")


def spool_is_whole(seen: Snapshot) -> Finding | None:
    """Tell of entries that nobody can read."""
    if not seen.spool_damaged:
        return None
    message = f"Spool entries set aside because nobody can read them: {seen.spool_damaged}."
    return Finding("spool damage", Severity.WARNING, message, f"ls {seen.spool_place}/damaged")
