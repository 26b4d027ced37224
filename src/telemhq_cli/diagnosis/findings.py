"""What `telemhq doctor` makes of what it saw: one function per finding. Pure.

A new finding is a function `Snapshot -> Finding | None` in `judging` and its place in `FINDINGS`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from telemhq_cli.diagnosis.finding import Theme
from telemhq_cli.diagnosis.judging import agent, delivery, logs, program, storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from telemhq_cli.diagnosis.finding import Finding
    from telemhq_cli.diagnosis.seen import Snapshot

FINDINGS: Mapping[Theme, tuple[Callable[[Snapshot], Finding | None], ...]] = {
    Theme.PROGRAM: (
        program.program_is_whole,
        program.shell_finds_it,
        program.claude_is_known,
        program.settings_are_right,
        program.project_file_is_right,
        program.credentials_are_private,
        program.keys_are_kept,
    ),
    Theme.AGENT: (
        agent.agent_runs,
        agent.agent_is_installed,
        agent.platform_is_proven,
        agent.passes_are_made,
        agent.passes_have_no_problems,
        agent.changes_are_notified,
    ),
    Theme.LOGS: (
        logs.logs_are_found,
        logs.logs_can_be_read,
        logs.logs_are_read,
        logs.hook_is_installed,
        logs.hook_is_let_run,
        logs.hook_was_heard,
        logs.hook_tells_of_every_turn,
        logs.nothing_was_lost,
        logs.models_have_prices,
    ),
    Theme.DELIVERY: (
        delivery.usage_goes_somewhere,
        delivery.server_answers,
        delivery.clocks_agree,
        delivery.outbox_is_empty,
        delivery.pings_are_accepted,
        delivery.pings_are_certain,
        delivery.spool_is_taken_in,
        delivery.spool_has_room,
        delivery.spool_is_whole,
    ),
    Theme.DISK: (storage.disk_has_room,),
}
"""In the order in which they are shown."""


def findings(seen: Snapshot) -> list[Finding]:
    """Return everything there is to tell."""
    return [
        replace(found, theme=theme)
        for theme, tellers in FINDINGS.items()
        for tell in tellers
        if (found := tell(seen)) is not None
    ]
