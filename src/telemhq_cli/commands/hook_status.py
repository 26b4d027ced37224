"""`telemhq claude status`: where the hook stands, whether it can run, and when it last did."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from claude_code_hooks import install, program, silence
from claude_code_hooks.install import Scope
from claude_code_hooks.standing import Standing, standing
from telemhq_agents import clock, locations, spool
from telemhq_cli.render.output import Form, note, say, show_table
from telemhq_cli.render.table import Column, Table

if TYPE_CHECKING:
    from claude_code_hooks.program import Program
    from telemhq_agents.locations import Locations

COLUMNS = (
    Column("scope", "Where"),
    Column("path", "File", copied=True),
    Column("installed", "Installed", lambda value: "yes" if value else "no"),
    Column("works", "Works", lambda value: "yes" if value else "no"),
    Column("statusline", "Status line", lambda value: "ours" if value else "", spare=1),
    Column("events", "Events", is_detail=True),
    Column("missing", "Missing", is_detail=True),
)


def show(form: Form) -> None:
    """Print how the hook stands. Raises SettingsError when a settings file is damaged."""
    found = program.find(os.environ)
    places = [
        standing(
            scope, install.target(scope, os.environ, Path.cwd()), found.version if found else ""
        )
        for scope in Scope
    ]
    ours, link = locations.ours(), install.plugin_link(os.environ)
    holding = install.settings_that_hold(os.environ, Path.cwd())
    silent = silence.why_silent(holding, locations.claude_managed_settings())
    has_plugin = any(silence.has_plugin(path) for path in holding)
    last_ms = _last_event_ms(ours)
    table = _table(places)
    if form is not Form.TEXT:
        show_table(
            table,
            form,
            {
                "claude": {"path": found.path, "version": found.version} if found else None,
                "places": places,
                "plugin": {"enabled": has_plugin, "path": link, "linked": link.is_file()},
                "silenced_by": silent,
                "last_event_at": clock.to_iso(last_ms) if last_ms else None,
                "waiting": spool.pending_count(ours.spool, {"hook"}),
                "spool_full": spool.is_full(ours.spool),
            },
        )
        return
    say(_about(found))
    show_table(table, form)
    say(f"Last event: {clock.to_iso(last_ms) if last_ms else 'none so far'}")
    note(*_troubles(places, silent, ours, has_plugin=has_plugin, linked=link.is_file()))


def _table(places: list[Standing]) -> Table:
    rows = [
        (
            *(place.scope.value, str(place.path), place.installed, place.works),
            *(place.statusline, " ".join(place.events), " ".join(place.missing)),
        )
        for place in places
    ]
    return Table(COLUMNS, rows)


def _about(found: Program | None) -> str:
    return f"Claude Code {found.version}: {found.path}" if found else "No Claude Code was found."


def _last_event_ms(ours: Locations) -> int:
    """Return when a hook last told of something, booked or still waiting; 0 for never."""
    waiting_ms = spool.newest_ms(ours.spool, "hook")
    if not ours.ledger.exists():
        return waiting_ms
    from claude_code_hooks.drain import memory_of  # noqa: PLC0415 - only where there is a ledger
    from telemhq_agents.ledger.narrow import Narrow  # noqa: PLC0415 - same
    from telemhq_cli.opening import open_ledger  # noqa: PLC0415 - same

    with open_ledger(ours) as ledger:
        return max(waiting_ms, memory_of(Narrow(ledger)).last_ms)


def _troubles(
    places: list[Standing], silent: list[str], ours: Locations, *, has_plugin: bool, linked: bool
) -> list[str]:
    """Return what keeps the hook from telling all, and the command that mends it."""
    found = list(silent)
    for place in places:
        flag = "" if place.scope is Scope.USER else " --project"
        mend = f"Run: telemhq claude install{flag}"
        if place.installed and not place.works:
            found.append(f"The hook in {place.path} names a program that is gone. {mend}")
        elif place.missing:
            found.append(f"The hook in {place.path} is not on {', '.join(place.missing)}. {mend}")
    if has_plugin and not linked:
        found.append("The plugin does not know whom to tell. Run: telemhq claude install --plugin")
    if not has_plugin and not any(place.installed for place in places):
        found.append("The hook is not installed. Run: telemhq claude install")
    if spool.is_full(ours.spool):
        found.append("Too many entries wait, so hooks leave no more. Run: telemhq agent once")
    return found
