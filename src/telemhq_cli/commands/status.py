"""`telemhq agent status`: whether the agent runs, where usage goes and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemhq_agents import clock, locations
from telemhq_agents.usage import Source
from telemhq_cli.commands.options import AsJson  # noqa: TC001 - read by Typer
from telemhq_cli.commands.outbox import label
from telemhq_cli.render.output import say, show_json, show_pairs

if TYPE_CHECKING:
    from telemhq_agents.locations import Locations


def status(as_json: AsJson = False) -> None:
    """Show whether the agent runs, where usage goes and what waits."""
    found = _found(locations.ours())
    if as_json:
        show_json(found)
        return
    show_pairs(_pairs(found))
    for problem in found["problems"]:
        say(f"  {problem}")
    outbox = found["outbox"]
    if outbox["parked"] or outbox["uncertain"]:
        say("", "Next: telemhq agent outbox")
    elif not found["running"]:
        is_installed = found["service"] is not None and found["service"]["installed"]
        say("", f"Next: telemhq {'doctor' if is_installed else 'agent install'}")


def _pairs(found: dict[str, Any]) -> list[tuple[str, object]]:
    outbox, spooled = found["outbox"], found["spool"]
    by = found["watching_by"]
    why = f" ({found['why_polling']})" if found["why_polling"] else ""
    waiting = (
        f"{outbox['pending']} wait, {outbox['parked']} parked, {outbox['uncertain']} uncertain"
    )
    return [
        ("Agent", f"runs (process {found['pid']})" if found["running"] else "does not run"),
        ("Service", _service_in_words(found["service"])),
        *([("Watching by", f"{by}{why}")] if by else []),
        ("Last pass", found["last_pass_at"] or "never"),
        *((name.capitalize(), label or "stays here") for name, label in found["sends_to"].items()),
        ("Outbox", waiting),
        ("Spool", f"{spooled['waiting']} wait, {spooled['damaged']} damaged"),
    ]


def _service_in_words(service: dict[str, Any] | None) -> str:
    if service is None:
        return "no service manager known on this machine"
    if not service["installed"]:
        return "not installed"
    return f"{service['manager']}, {'active' if service['active'] else 'not active'}"


def _found(ours: Locations) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 - not needed for --help

    from telemhq_agents import credentials, spool  # noqa: PLC0415 - same
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - same
    from telemhq_cli import status as status_file  # noqa: PLC0415 - same

    told = status_file.read(ours)
    running = status_file.is_running(ours)
    held = credentials.load(ours.credentials)
    with Ledger.open(ours.ledger) as ledger:
        counts = asdict(ledger.counts())
        ids = {source.value: ledger.destination(source) for source in Source}
    last_pass = told.get("last_pass_ms")
    return {
        "running": running,
        "pid": told.get("pid") if running else None,
        "service": _service(),
        "watching_by": told.get("watching_by", "") if running else "",
        "why_polling": told.get("why_polling", "") if running else "",
        "last_pass_at": clock.to_iso(last_pass) if isinstance(last_pass, int) else None,
        "sends_to": {source: label(one, held) for source, one in ids.items()},
        "outbox": counts,
        "spool": {
            "waiting": spool.pending_count(ours.spool),
            "damaged": spool.damaged_count(ours.spool),
        },
        "problems": told.get("last_pass", {}).get("problems", []),
    }


def _service() -> dict[str, Any] | None:
    from telemhq_agents.errors import TelemhqError  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.service import choosing, installing  # noqa: PLC0415 - same

    try:
        wanted = choosing.choose(installing.run)
        stands = installing.standing(wanted, installing.run)
    except TelemhqError:
        return None
    return {
        "manager": wanted.manager.value,
        "path": str(wanted.path),
        "installed": stands.is_installed,
        "active": stands.is_active,
    }
