"""Reading this machine's logs for a command that needs no server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from telemhq_agents import clock, locations
from telemhq_agents.usage import Source
from telemhq_cli.render.output import say, show_json
from telemhq_cli.render.progress import counting
from telemhq_cli.render.voice import warn
from telemhq_cli.render.words import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from telemhq_agents.collecting import ScanReport
    from telemhq_agents.ledger.store import Ledger

WAIT_S = 10.0


@contextmanager
def read_logs(sources: Sequence[Source]) -> Iterator[Ledger]:
    """Open the ledger with what is new in the logs of these sources booked."""
    with _read(sources) as (ledger, _):
        yield ledger


def places(sources: Sequence[Source]) -> list[Path]:
    """Return the homes in which the logs of these sources are looked for."""
    codex = [locations.codex_home()] if Source.CODEX in sources else []
    return [*codex, *(locations.claude_homes() if Source.CLAUDE in sources else [])]


def scan_now(sources: Sequence[Source], *, as_json: bool) -> None:
    """Book what is new and tell how much that was."""
    with _read(sources) as (_, reports):
        pass
    if as_json:
        show_json({source.value: asdict(report) for source, report in reports.items()})
        return
    for source, report in reports.items():
        say(in_words(source, report))


def in_words(source: Source, report: ScanReport) -> str:
    """Say in one line what a scan found."""
    bad = f", {whole(report.bad_lines)} lines not understood" if report.bad_lines else ""
    return (
        f"{source.value.capitalize()}: {whole(report.files)} logs, {whole(report.files_read)} read,"
        f" {whole(report.new_facts)} new responses{bad}."
    )


@contextmanager
def _read(
    sources: Sequence[Source],
) -> Iterator[tuple[Ledger, dict[Source, ScanReport]]]:
    from telemhq_cli import intake  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.opening import open_ledger, own_namer  # noqa: PLC0415 - same

    reports: dict[Source, ScanReport] = {}
    namer = own_namer(locations.ours())
    with open_ledger(locations.ours()) as ledger:
        with counting("Reading") as told, ledger.booking(WAIT_S) as ours:
            if ours:
                reports = intake.read_logs(ledger, sources, namer, clock.now_ms(), told)
        if not ours:
            warn("another process reads the logs; what it has not booked yet is missing")
        for problem in (one for report in reports.values() for one in report.problems):
            warn(problem)
        yield ledger, reports
