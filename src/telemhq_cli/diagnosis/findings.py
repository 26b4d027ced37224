"""What `telemhq doctor` makes of what it saw: one function per finding. Pure.

A new finding is a function `Snapshot -> Finding | None` and its place in `FINDINGS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from claude_code_hooks.coverage import unannounced
from telemhq_cli.diagnosis.seen import Snapshot, Trouble
from telemhq_cli.render.words import counted, duration, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_cli.diagnosis.seen import LogsSeen

OLD_PING_MS = 3_600_000
LONG_SINCE_A_PASS_MS = 15 * 60_000
MEGABYTE = 1_000_000
SHOWN_MODELS = 5


class Severity(StrEnum):
    """How much a finding matters: an error loses or withholds something, a warning may."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; `next_step` is the command that mends it, "" where nothing is to be done."""

    name: str
    severity: Severity
    message: str
    next_step: str = ""


def agent_runs(seen: Snapshot) -> Finding:
    """Tell whether the agent runs."""
    if seen.agent.is_running:
        return Finding("agent", Severity.OK, f"The agent runs (process {seen.agent.pid}).")
    is_installed = not isinstance(seen.service, Trouble) and seen.service.is_installed
    return Finding(
        "agent",
        Severity.WARNING,
        "The agent does not run; nothing is reported by itself.",
        "telemhq agent logs" if is_installed else "telemhq agent install",
    )


def agent_is_installed(seen: Snapshot) -> Finding:
    """Tell whether a service manager starts the agent."""
    service = seen.service
    if isinstance(service, Trouble):
        return Finding("service", Severity.NOTE, service.message, service.next_step)
    install = "telemhq agent install"
    if not service.is_installed:
        return Finding(
            "service", Severity.NOTE, "The agent is not installed as a service.", install
        )
    if not service.is_current:
        message = "The service was installed by another version or with other settings."
        return Finding("service", Severity.WARNING, message, install)
    if not service.answers:
        message = f"{service.manager} does not answer here; the service waits for it."
        by_hand = "" if seen.agent.is_running else "telemhq agent run"
        return Finding("service", Severity.WARNING, message, by_hand)
    if not service.is_active:
        message = f"{service.manager} has the service, but does not run it."
        return Finding("service", Severity.WARNING, message, install)
    return Finding("service", Severity.OK, f"{service.manager} keeps the agent running.")


def platform_is_proven(seen: Snapshot) -> Finding | None:
    """Tell of a platform that nobody has run the agent's service on yet."""
    service = seen.service
    if isinstance(service, Trouble) or service.is_proven:
        return None
    message = f"The service for {service.manager} is written, but was not yet run there."
    return Finding("platform", Severity.NOTE, message)


def passes_are_made(seen: Snapshot) -> Finding | None:
    """Tell when the agent last read."""
    agent = seen.agent
    if not agent.is_running:
        return None
    if agent.last_pass_ms is None:
        return Finding("last pass", Severity.NOTE, "The agent reads everything for the first time.")
    ago_ms = max(seen.now_ms - agent.last_pass_ms, 0)
    if ago_ms > LONG_SINCE_A_PASS_MS:
        message = f"The agent runs, but last read {duration(ago_ms)} ago."
        return Finding("last pass", Severity.WARNING, message, "telemhq agent logs")
    return Finding("last pass", Severity.OK, f"The agent last looked {duration(ago_ms)} ago.")


def passes_have_no_problems(seen: Snapshot) -> Finding | None:
    """Tell what the last pass complained of."""
    problems = seen.agent.problems
    if not problems:
        return None
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Finding("problems", Severity.WARNING, f"{problems[0]}{more}", "telemhq agent status")


def changes_are_notified(seen: Snapshot) -> Finding | None:
    """Tell of an agent that looks for changes because the system does not tell it."""
    agent = seen.agent
    if not agent.is_running or agent.watching_by != "polling":
        return None
    return Finding(
        "watching",
        Severity.NOTE,
        f"The agent polls: {agent.why_polling}. A turn in an old session may take 30 seconds.",
        "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
        if seen.platform == "linux"
        else "",
    )


def hook_is_installed(seen: Snapshot) -> Finding | None:
    """Tell whether Claude Code runs our hook."""
    hook = seen.hook
    if isinstance(hook, Trouble):
        return Finding("hook", Severity.WARNING, hook.message, hook.next_step)
    if hook.is_installed and hook.is_current:
        return Finding("hook", Severity.OK, "Claude Code runs the hook.")
    if hook.is_installed:
        message = f"The hook in {hook.settings} is not this installation's."
        return Finding("hook", Severity.WARNING, message, "telemhq claude install")
    if not hook.claude_is_here:
        return None
    message = "Claude Code is here, but does not run the hook; its usage is read from transcripts."
    return Finding("hook", Severity.NOTE, message, "telemhq claude install")


def hook_is_let_run(seen: Snapshot) -> Finding | None:
    """Tell of settings that keep an installed hook from running."""
    hook = seen.hook
    if isinstance(hook, Trouble) or not hook.is_installed or not hook.silenced_by:
        return None
    return Finding(
        "silenced hook", Severity.WARNING, " ".join(hook.silenced_by), "telemhq claude status"
    )


def hook_tells_of_every_turn(seen: Snapshot) -> Finding | None:
    """Tell of turns that ended without the hook's telling of them: its entries were lost."""
    hook = seen.hook
    if isinstance(hook, Trouble) or not hook.is_installed or seen.spool_waiting:
        return None
    message = unannounced(hook.ended, hook.announced)
    if not message:
        return None
    return Finding("unannounced turns", Severity.NOTE, message, "telemhq claude status")


def spool_has_room(seen: Snapshot) -> Finding | None:
    """Tell of so many entries that hooks leave no more."""
    if not seen.spool_is_full:
        return None
    message = "So many entries wait in the spool that hooks leave no more."
    return Finding("full spool", Severity.WARNING, message, "telemhq agent once")


def spool_is_taken_in(seen: Snapshot) -> Finding:
    """Tell of entries that wait in the spool."""
    if not seen.spool_waiting:
        return Finding("spool", Severity.OK, "Nothing waits in the spool.")
    severity = Severity.NOTE if seen.agent.is_running else Severity.WARNING
    noun = "entry" if seen.spool_waiting == 1 else "entries"
    message = f"In the spool: {whole(seen.spool_waiting)} {noun}."
    return Finding("spool", severity, message, "telemhq agent once")


def spool_is_whole(seen: Snapshot) -> Finding | None:
    """Tell of entries that nobody can read."""
    if not seen.spool_damaged:
        return None
    message = f"Spool entries set aside because nobody can read them: {seen.spool_damaged}."
    return Finding("spool damage", Severity.WARNING, message)


def outbox_is_empty(seen: Snapshot) -> Finding:
    """Tell of pings that wait to be sent."""
    outbox = seen.outbox
    if isinstance(outbox, Trouble):
        return Finding("ledger", Severity.ERROR, outbox.message, outbox.next_step)
    if not outbox.pending:
        return Finding("outbox", Severity.OK, "Nothing waits to be sent.")
    message = f"Waiting to be sent: {counted(outbox.pending, 'ping')}."
    waits_ms = seen.now_ms - (seen.now_ms if outbox.oldest_ms is None else outbox.oldest_ms)
    if waits_ms < OLD_PING_MS:
        return Finding("outbox", Severity.NOTE, message)
    message = f"{message} The oldest is {duration(waits_ms)} old."
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


def logs_are_found(seen: Snapshot) -> Finding:
    """Tell where logs are and how much there is of them."""
    there = [logs for logs in seen.logs if logs.is_there]
    if not there:
        places = " or ".join(dict.fromkeys(logs.path for logs in seen.logs))
        return Finding("logs", Severity.NOTE, f"No logs of a coding agent in {places}.")
    return Finding("logs", Severity.OK, "; ".join(map(_logs_in_words, there)))


def _logs_in_words(logs: LogsSeen) -> str:
    size = f"{logs.size / MEGABYTE:,.1f} MB"
    return f"{logs.source}: {counted(logs.files, 'log')}, {size} in {logs.path}"


def logs_can_be_read(seen: Snapshot) -> Finding | None:
    """Tell of directories that are closed to us."""
    closed = [path for logs in seen.logs for path in logs.closed]
    if not closed:
        return None
    message = f"Closed to this user: {', '.join(closed[:3])}."
    return Finding("closed logs", Severity.WARNING, message, f"ls -ld {closed[0]}")


def models_have_prices(seen: Snapshot) -> Finding | None:
    """Tell of models whose tokens cost nothing in reports, because nobody knows their price."""
    if not seen.unpriced:
        return None
    models = [f"{model or 'unnamed'} ({whole(tokens)} tokens)" for model, tokens in seen.unpriced]
    more = f" and {len(models) - SHOWN_MODELS} more" if len(models) > SHOWN_MODELS else ""
    message = f"No price is known for {', '.join(models[:SHOWN_MODELS])}{more}."
    return Finding("prices", Severity.NOTE, message, "telemhq prices set --help")


def usage_goes_somewhere(seen: Snapshot) -> Finding:
    """Tell where usage is sent."""
    sent = [f"{source} to {place}" for source, place in seen.sends_to if place]
    if sent:
        return Finding("login", Severity.OK, f"Usage goes: {', '.join(sent)}.")
    message = "Usage stays on this machine: there is no login."
    return Finding("login", Severity.NOTE, message, "telemhq login --url URL")


def credentials_are_private(seen: Snapshot) -> Finding | None:
    """Tell of credentials that others can read, or nobody."""
    if seen.credentials is None:
        return None
    return Finding(
        "credentials", Severity.ERROR, seen.credentials.message, seen.credentials.next_step
    )


def server_answers(seen: Snapshot) -> Finding | None:
    """Tell whether the server answers, where it was asked."""
    if seen.server is None:
        return None
    trouble = seen.server.trouble
    if trouble is None:
        return Finding("server", Severity.OK, f"{seen.server.url} answers.")
    return Finding("server", Severity.ERROR, trouble.message, trouble.next_step)


FINDINGS: tuple[Callable[[Snapshot], Finding | None], ...] = (
    agent_runs,
    agent_is_installed,
    platform_is_proven,
    passes_are_made,
    passes_have_no_problems,
    changes_are_notified,
    hook_is_installed,
    hook_is_let_run,
    hook_tells_of_every_turn,
    spool_has_room,
    spool_is_taken_in,
    spool_is_whole,
    outbox_is_empty,
    pings_are_accepted,
    pings_are_certain,
    logs_are_found,
    logs_can_be_read,
    models_have_prices,
    usage_goes_somewhere,
    credentials_are_private,
    server_answers,
)
"""In the order in which they are shown."""


def findings(seen: Snapshot) -> list[Finding]:
    """Return everything there is to tell."""
    return [found for tell in FINDINGS if (found := tell(seen)) is not None]
