"""What coding agents leave on this machine: logs, how far they are read, and the hook. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_code_hooks.coverage import unannounced
from telemhq_cli.diagnosis.finding import Finding, Severity
from telemhq_cli.diagnosis.judging.sizes import size
from telemhq_cli.diagnosis.seen import Snapshot, Trouble
from telemhq_cli.render.words import counted, duration, whole

if TYPE_CHECKING:
    from telemhq_cli.diagnosis.seen import CursorsSeen, LogsSeen

DAY_MS = 24 * 3_600_000
SHOWN_MODELS = 5


def logs_are_found(seen: Snapshot) -> Finding:
    """Tell where logs are and how much there is of them."""
    there = [logs for logs in seen.logs if logs.is_there]
    if not there:
        places = " or ".join(dict.fromkeys(logs.path for logs in seen.logs))
        return Finding("logs", Severity.NOTE, f"No logs of a coding agent in {places}.")
    return Finding("logs", Severity.OK, "; ".join(map(_logs_in_words, there)))


def _logs_in_words(logs: LogsSeen) -> str:
    return f"{logs.source}: {counted(logs.files, 'log')}, {size(logs.size)} in {logs.path}"


def logs_can_be_read(seen: Snapshot) -> Finding | None:
    """Tell of directories that are closed to us."""
    closed = [path for logs in seen.logs for path in logs.closed]
    if not closed:
        return None
    message = f"Closed to this user: {', '.join(closed[:3])}."
    return Finding("closed logs", Severity.WARNING, message, f"ls -ld {closed[0]}")


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


def models_have_prices(seen: Snapshot) -> Finding | None:
    """Tell of models whose tokens cost nothing in reports, because nobody knows their price."""
    if not seen.unpriced:
        return None
    models = [f"{model or 'unnamed'} ({whole(tokens)} tokens)" for model, tokens in seen.unpriced]
    more = f" and {len(models) - SHOWN_MODELS} more" if len(models) > SHOWN_MODELS else ""
    message = f"No price is known for {', '.join(models[:SHOWN_MODELS])}{more}."
    return Finding("prices", Severity.NOTE, message, "telemhq prices set --help")


def logs_are_read(seen: Snapshot) -> Finding | None:
    """Tell how far the logs are read: what is not read yet is in no report of a server."""
    if not any(one.logs for one in seen.cursors):
        return None
    told = "; ".join(map(_cursors_in_words, (one for one in seen.cursors if one.logs)))
    is_behind = any(one.behind for one in seen.cursors)
    if is_behind and not seen.agent.is_running:
        return Finding("cursors", Severity.NOTE, f"{told}.", "telemhq agent once")
    return Finding("cursors", Severity.OK, f"{told}.")


def _cursors_in_words(one: CursorsSeen) -> str:
    if not one.behind:
        return f"{one.source}: {counted(one.logs, 'log')} read to the end"
    left = f"{whole(one.behind)} of {counted(one.logs, 'log')}"
    return f"{one.source}: {left} not read to the end yet, {size(one.unread)} to go"


def hook_was_heard(seen: Snapshot) -> Finding | None:
    """Tell when the hook last told of anything; sessions that go on without it are a warning."""
    hook = seen.hook
    if isinstance(hook, Trouble) or not hook.is_installed:
        return None
    worked_ms = max((one.newest_ms or 0 for one in seen.logs if one.source == "claude"), default=0)
    if hook.last_ms is None:
        message = "The hook has told of nothing yet; sessions that began before it don't run it."
        return Finding("last event", Severity.NOTE, message, "telemhq claude status")
    message = f"The hook last told of something {duration(max(seen.now_ms - hook.last_ms, 0))} ago"
    if worked_ms - hook.last_ms > DAY_MS:
        message = f"{message}, but Claude Code has worked since."
        return Finding("last event", Severity.WARNING, message, "telemhq claude status")
    return Finding("last event", Severity.OK, f"{message}.")


def nothing_was_lost(seen: Snapshot) -> Finding | None:
    """Tell that no entry of a hook or a wrapper was lost, where that is so."""
    is_missed = hook_tells_of_every_turn(seen) is not None
    if is_missed or seen.spool_damaged or seen.spool_is_full:
        return None
    return Finding("lost entries", Severity.OK, "No entry of a hook or a wrapper was lost.")
