"""Looking at the background agent and at who starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.errors import TelemhqError
from telemhq_cli import status
from telemhq_cli.diagnosis.seen import AgentSeen, ServiceSeen, trouble

if TYPE_CHECKING:
    from telemhq_agents.locations import Locations
    from telemhq_cli.diagnosis.seen import Trouble


def agent(ours: Locations) -> AgentSeen:
    """Return what the running agent says of itself, or the last one did."""
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


def service() -> ServiceSeen | Trouble:
    """Return how the agent's service stands."""
    from telemhq_agents.service import choosing, installing  # noqa: PLC0415 - subprocess

    try:
        wanted = choosing.choose(installing.run)
        stands = installing.standing(wanted, installing.run)
    except TelemhqError as error:
        return trouble(error)
    return ServiceSeen(
        manager=wanted.manager.value,
        is_proven=wanted.is_proven,
        is_installed=stands.is_installed,
        is_current=stands.is_current,
        is_active=stands.is_active,
        answers=stands.answers,
    )
