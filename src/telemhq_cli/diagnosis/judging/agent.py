"""Whether the background agent runs, looks, and is started by somebody. Pure."""

from __future__ import annotations

from telemhq_cli.diagnosis.finding import Finding, Severity
from telemhq_cli.diagnosis.seen import Snapshot, Trouble
from telemhq_cli.render.words import duration

LONG_SINCE_A_PASS_MS = 15 * 60_000


def agent_runs(seen: Snapshot) -> Finding:
    """Tell whether the agent runs; it is missed where something should go to a server."""
    if seen.agent.is_running:
        return Finding("agent", Severity.OK, f"The agent runs (process {seen.agent.pid}).")
    service = seen.service
    is_installed = not isinstance(service, Trouble) and service.is_installed
    next_step = "telemhq agent logs" if is_installed else "telemhq agent install"
    if isinstance(service, Trouble) or not service.answers:
        next_step = "telemhq agent run"
    if any(place for _, place in seen.sends_to):
        message = "The agent does not run; nothing is reported by itself."
        return Finding("agent", Severity.WARNING, message, next_step)
    message = "The agent does not run; logs are read when you ask for a report."
    severity = Severity.WARNING if is_installed else Severity.NOTE
    return Finding("agent", severity, message, next_step)


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
