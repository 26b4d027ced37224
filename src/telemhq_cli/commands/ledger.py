"""`telemhq ledger …`: keeping what this machine knows."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents import clock, credentials, locations
from telemhq_agents.errors import DamagedError, TelemhqError, UsageError, unwritable
from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.render.output import form_of, say, show_file, show_json, show_table
from telemhq_cli.render.progress import counting, patience
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.ledger.verifying import Findings
    from telemhq_cli.render.progress import Told

app = typer.Typer(no_args_is_help=True, help="The ledger: keep it, move it, check it, mend it.")
STDOUT = "-"
WRONG = 1
WAIT_S = 30.0


@app.command()
def export(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE|-", help="Where to; else beside the ledger, dated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write all that the logs may not tell again, as JSON lines."""
    from telemhq_agents.ledger.exporting import export as lines_of  # noqa: PLC0415 - for --help

    with (
        _opened() as ledger,
        closing(lines_of(ledger, _device_id(), clock.now_ms())) as found,
    ):
        if file == STDOUT:
            show_file(found)
            return
        target = _target(file, ".jsonl")
        with counting("Exporting") as told:
            lines = _write(target, _telling(found, told))
    _tell_written(target, {"lines": lines}, counted(lines, "line"), as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="What an export wrote.")],
    as_json: AsJson = False,
) -> None:
    """Take an export in; what is known already adds nothing."""
    from dataclasses import asdict  # noqa: PLC0415 - not needed for --help

    from telemhq_agents.ledger.importing import import_lines  # noqa: PLC0415 - same

    with _opened() as ledger, _booking(ledger), _read(file) as lines, counting("Importing") as told:
        done = import_lines(ledger, file, _telling(lines, told), _device_id())
    if as_json:
        show_json(asdict(done))
        return
    say(
        f"{counted(done.lines, 'line')} read: {counted(done.new_facts, 'new response')}, "
        f"{done.changed_facts:,} changed, {counted(done.turns, 'turn')}."
    )
    if not done.is_own:
        say(
            "It is another machine's: what that one told a server, and had still to tell, stays there."
        )


@app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; else beside the ledger, dated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the ledger, whole, also while the agent runs."""
    from telemhq_agents.ledger import damage  # noqa: PLC0415 - not needed for --help

    target = _target(None if file is None else str(file), damage.BACKUP)
    with _opened() as ledger, patience("Copying …"):
        size = damage.backup(ledger, target)
    _tell_written(target, {"bytes": size}, counted(size, "byte"), as_json=as_json)


@app.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Recompute sums, replace what is damaged.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Check the ledger: the file, its sums, what was told."""
    from telemhq_cli.render.ledger import as_document, findings_table  # noqa: PLC0415 - for --help

    at_most_one(json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    with patience("Checking the ledger …"):
        found = _verified()
        left = _repaired(found) if repair and not found.is_clean else found
    document = as_document(found, left, repaired=repair)
    show_table(findings_table(found, left, repaired=repair), form, document)
    if not left.is_clean:
        raise typer.Exit(WRONG)


def _verified() -> Findings:
    from telemhq_agents.errors import BrokenLedgerError  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.ledger.verifying import Findings, verify  # noqa: PLC0415 - same

    try:
        with _opened() as ledger:
            return verify(ledger)
    except BrokenLedgerError as error:
        return Findings(file=[error.message])


def _repaired(found: Findings) -> Findings:
    """Mend what can be mended; return what is still wrong."""
    from telemhq_agents.errors import BrokenLedgerError  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.ledger import verifying  # noqa: PLC0415 - same
    from telemhq_cli.mending import mend  # noqa: PLC0415 - same

    try:
        with _opened() as ledger, _booking(ledger):
            left = verifying.repair(ledger, found, clock.now_ms())
    except BrokenLedgerError as error:
        left = verifying.Findings(file=[error.message])
    if left.file:
        mend(locations.ours(), lambda _: True)
        return _verified()
    return left


@contextmanager
def _opened() -> Iterator[Ledger]:
    from telemhq_cli.opening import open_ledger  # noqa: PLC0415 - not needed for --help

    with open_ledger(locations.ours()) as ledger:
        yield ledger


@contextmanager
def _booking(ledger: Ledger) -> Iterator[None]:
    with ledger.booking(WAIT_S) as got:
        if not got:
            raise TelemhqError("Another process reads the logs.", "Try again in a minute.")
        yield


def _device_id() -> str:
    return credentials.device(locations.ours().credentials).id


def _target(named: str | None, suffix: str) -> Path:
    from telemhq_agents.ledger.damage import stamp  # noqa: PLC0415 - not needed for --help

    if named is not None:
        return Path(named)
    return locations.ours().backups / f"ledger-{stamp(clock.now_ms())}{suffix}"


@contextmanager
def _read(file: str) -> Iterator[Any]:
    if file == STDOUT:
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below; its errors are told apart
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror or error}.",
            "Give a file of telemhq ledger export.",
        ) from error
    with stream:
        yield stream


def _telling(lines: Iterable[bytes], told: Told) -> Iterator[bytes]:
    """Yield lines, and tell of each how many there were."""
    for number, line in enumerate(lines, start=1):
        yield line
        told("lines", number, 0)


def _write(target: Path, found: Iterator[bytes]) -> int:
    """Write an export, whole or not at all, for its owner's eyes alone; return its lines."""
    import os  # noqa: PLC0415 - not needed for --help

    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        lines = 0
        with os.fdopen(number, "wb") as stream:
            for line in found:
                stream.write(line)
                lines += 1
        unfinished.replace(target)
    except OSError as error:
        raise unwritable(DamagedError, target, error) from error
    finally:
        with suppress(OSError):  # in place by now, or never made
            unfinished.unlink()
    return lines


def _tell_written(target: Path, more: dict[str, int], size: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"file": str(target), **more})
    else:
        say(f"{target}: {size}.")
