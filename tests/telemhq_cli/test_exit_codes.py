"""Every exit code that the page promises, met from the command line."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from telemhq_agents import errors
from telemhq_cli import main, reading
from telemhq_cli.diagnosis.finding import EXIT_CODES
from telemhq_cli.wrap import child, skipping, telling
from tests.telemhq_cli.conftest import TELEMHQ, Machine, PingServer
from tests.telemhq_cli.wrap.test_lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"
SIGTERM_OF_A_JOB = 128 + 15
Meet = Callable[[Machine, PingServer], int]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the page."""
    part = PAGE.read_text(encoding="utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def kinds_in_the_tree(kind: type[errors.TelemhqError]) -> Iterator[tuple[int, str]]:
    yield kind.exit_code, kind.kind
    for below in kind.__subclasses__():
        yield from kinds_in_the_tree(below)


def test_the_page_names_every_kind_of_error_and_its_code() -> None:
    assert issubclass(reading.NotNowError, errors.TelemhqError)  # errors of other rooms are loaded
    listed = {(int(code), kind.strip("`")) for code, kind, *_ in rows("# Exit codes")}

    assert listed == {
        (0, ""),
        *kinds_in_the_tree(errors.TelemhqError),
        (main.UNEXPECTED, str(main.FAULT["kind"])),
        (main.INTERRUPTED, ""),
        (main.BROKEN_PIPE, ""),
    }
    assert errors.TelemhqError.exit_code == main.FULL_DISK


def test_the_page_names_the_wrappers_own_codes() -> None:
    listed = [code for code, _ in rows("## `telemhq ping` around a job")]

    ours = [child.TIMED_OUT, skipping.SKIPPED, child.NOT_EXECUTABLE, child.NOT_FOUND]
    assert listed == [*map(str, ours), "128 + n"]
    assert set(telling.EXIT_CODES.values()) == {0, 5, 6}


def test_the_page_names_every_code_that_is_an_answer() -> None:
    text = PAGE.read_text(encoding="utf-8")
    listed = [(words, int(code)) for words, code, _ in rows("## Codes that are an answer")]
    doctors = {code for words, code in listed if "doctor" in words}
    assert doctors == set(EXIT_CODES.values()) - {0}

    rooms = Path(main.__file__).parent / "commands"
    leaving = {
        path.stem
        for path in rooms.glob("*.py")
        if re.search(
            r"raise typer\.Exit\((?!own\.|run\(|INTERRUPTED)", path.read_text(encoding="utf-8")
        )
    }
    named = {re.findall(r"telemhq ([a-z]+)", words)[0] for words, _ in listed}
    named |= set(re.findall(r"^`telemhq (\w+)` ends with the code of", text, re.MULTILINE))
    assert {room.replace("tracker_file", "tracker") for room in leaving} == named


def ran(*arguments: str) -> Meet:
    return lambda machine, _: machine.run(*arguments).returncode


def wrapped(*arguments: str) -> Meet:
    return lambda machine, server: machine.run("ping", server.ping_url, *arguments).returncode


def broken_settings(machine: Machine, _: PingServer) -> int:
    machine.ours.mkdir()
    (machine.ours / "config.toml").write_text('coalesce = "7m"\n')
    return machine.run("config", "list").returncode


def refused(machine: Machine, server: PingServer) -> int:
    server.status, server.answer = 422, {"title": "Too large", "status": 422}
    return machine.run("ping", server.ping_url).returncode


def unreachable(machine: Machine, _: PingServer) -> int:
    machine.extra.update(TELEMHQ_URL="http://127.0.0.1:9", TELEMHQ_API_KEY="thq_made_up")
    return machine.run("whoami").returncode


def damaged(machine: Machine, _: PingServer) -> int:
    (machine.ours / "ledger.sqlite3").mkdir(parents=True)
    return machine.run("usage").returncode


def skipped(machine: Machine, server: PingServer) -> int:
    first = hold(machine, server, "exec sleep 30")
    code = machine.run("ping", server.ping_url, "--lock", "nightly", "--", "true").returncode
    first.terminate()
    first.communicate()
    return code


def nobody_reads(machine: Machine, _: PingServer) -> int:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [*TELEMHQ, "config", "list"], env=machine.environ, stdout=gone, check=False, timeout=60
        )
    return done.returncode


MET: dict[int, Meet] = {
    0: ran("config", "list"),
    1: ran("privacy", "preview"),
    2: ran("usage", "--bogus"),
    3: broken_settings,
    4: ran("whoami"),
    5: refused,
    6: unreachable,
    7: damaged,
    75: skipped,
    124: wrapped("--kill-after", "0.2", "--", "sleep", "30"),
    126: wrapped("--", "/etc/passwd"),
    127: wrapped("--", "there-is-no-such-program"),
    141: nobody_reads,
    SIGTERM_OF_A_JOB: wrapped("--", "sh", "-c", "kill -TERM $$"),
}
IN_THIS_PROCESS = {main.UNEXPECTED, main.INTERRUPTED}
"""Met in commands/test_failing_commands.py: no command line makes a fault of ours, or a Ctrl-C."""


@pytest.mark.parametrize("code", MET)
def test_each_code_is_met(machine: Machine, ping_server: PingServer, code: int) -> None:
    assert MET[code](machine, ping_server) == code


def test_no_code_of_the_page_is_left_out() -> None:
    codes = {int(code) for code, *_ in rows("# Exit codes")}
    wrappers = {int(code) for code, _ in rows("## `telemhq ping`") if code.isdecimal()}

    assert codes | wrappers == (set(MET) | IN_THIS_PROCESS) - {SIGTERM_OF_A_JOB}
