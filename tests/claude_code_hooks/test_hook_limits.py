"""The hook where nothing is as it should be, and where everything happens at once."""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks import hook, install
from telemhq_agents import spool as spools
from telemhq_agents.locations import Locations

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOK = Path(hook.__file__)
STOP = b'{"hook_event_name":"Stop","session_id":"s1","prompt_id":"p1"}'
START = b'{"hook_event_name":"SessionStart","session_id":"s1"}'
TOOL = {"hook_event_name": "PostToolUse", "session_id": "s1", "prompt_id": "p1"}
MINUTE_NS = 60 * 10**9


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "spool"


@pytest.fixture
def bell(tmp_path: Path) -> tuple[list[str], Path]:
    """A wake command that writes a line into a file, and that file."""
    told = tmp_path / "bell"
    return ["/bin/sh", "-c", f"echo ring >> {shlex.quote(str(told))}"], told


def run(
    spool: Path | str, stdin: bytes, *command: str, **more: Any
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(HOOK), str(spool), *command],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=20,
        **more,
    )


def was_unfelt(done: subprocess.CompletedProcess[bytes]) -> bool:
    return (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def rings(told: Path, at_least: int) -> int:
    """Return how often the bell rang, once it had the time to ring once more."""
    until = time.monotonic() + 5
    while time.monotonic() < until and _lines(told) < at_least:
        time.sleep(0.01)
    time.sleep(0.15)
    return _lines(told)


def _lines(told: Path) -> int:
    return len(told.read_text().splitlines()) if told.exists() else 0


def left(spool: Path) -> list[Path]:
    return sorted(spool.glob("*.json"))


def test_fifty_ends_at_once_leave_fifty_entries_and_wake_one_drain(
    spool: Path, bell: tuple[list[str], Path]
) -> None:
    command, told = bell
    started = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(HOOK), str(spool), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(50)
    ]
    outputs = [process.communicate(STOP)[0] for process in started]

    assert outputs == [b""] * 50
    assert len(left(spool)) == 50
    assert rings(told, 1) == 1


def test_whoever_was_woken_can_be_woken_again(spool: Path, bell: tuple[list[str], Path]) -> None:
    command, told = bell
    run(spool, STOP, *command)
    run(spool, STOP, *command)
    assert rings(told, 1) == 1

    assert spools.pending_count(spool) == 2
    run(spool, STOP, *command)

    assert rings(told, 2) == 2


@pytest.mark.parametrize(("age_s", "wakes"), [(2, False), (11, True), (-2, False), (-3600, True)])
def test_a_drain_that_never_heard_is_not_waited_for(age_s: float, wakes: bool, spool: Path) -> None:
    """A mark of the future was made by a clock that was set back since."""
    spool.mkdir(parents=True)
    mark = spool / ".waking"
    mark.touch()
    now = time.time_ns()
    os.utime(mark, (now / 10**9 - age_s, now / 10**9 - age_s))

    assert hook.is_first_to_wake(str(spool), now) is wakes
    if wakes:
        assert not hook.is_first_to_wake(str(spool), now)


def test_a_minute_of_hundreds_of_tools_starts_nobody(
    spool: Path, bell: tuple[list[str], Path]
) -> None:
    command, told = bell
    for number in range(40):
        event = {**TOOL, "tool_name": "Bash", "tool_use_id": f"t{number}", "tool_input": {}}
        assert was_unfelt(run(spool, json.dumps(event).encode(), *command))

    assert len(left(spool)) == 40
    assert sum(path.stat().st_size for path in left(spool)) < 40 * 500
    assert rings(told, 0) == 0


def test_where_nobody_takes_the_entries_no_more_are_left_and_an_end_still_wakes(
    spool: Path, bell: tuple[list[str], Path]
) -> None:
    command, told = bell
    spool.mkdir(parents=True)
    (spool / hook.FULL_MARK).touch()

    assert was_unfelt(run(spool, json.dumps(TOOL).encode(), *command))
    assert was_unfelt(run(spool, STOP, *command))

    assert left(spool) == []
    assert rings(told, 1) == 1
    assert list(spools.claim(spool)) == []
    run(spool, STOP, *command)
    assert len(left(spool)) == 1


def test_a_spool_is_full_at_its_limit_and_one_hook_in_64_counts(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "MOST_ENTRIES", 3)
    spool.mkdir(parents=True)
    counting, resting = 64_000 * 7, 64_000 * 7 + 1000
    for number in range(3):
        (spool / f"{number}.json").touch()
    assert not hook.is_full(str(spool), counting)
    (spool / "4.json").touch()

    assert not hook.is_full(str(spool), resting)
    assert hook.is_full(str(spool), counting)
    assert hook.is_full(str(spool), resting)
    assert spools.is_full(spool)


def test_a_spool_that_is_not_there_is_not_full(spool: Path) -> None:
    assert not hook.is_full(str(spool), 0)


def test_the_limit_is_the_one_that_is_documented() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "hook.md"

    assert f"{hook.MOST_ENTRIES:,} entries" in page.read_text(encoding="utf-8")


@contextmanager
def disk(place: Path, options: str) -> Iterator[Path]:
    """Mount a small disk of its own; skip where this machine does not let us."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - its coming is what fill is for
            return
    pytest.fail("the disk is not full")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_full_disk_is_not_felt_and_keeps_what_it_holds(
    tmp_path: Path, bell: tuple[list[str], Path]
) -> None:
    command, told = bell
    with disk(tmp_path / "disk", "size=64k") as place:
        spool = place / "spool"
        assert was_unfelt(run(spool, STOP))
        fill(place / "rest")

        done = [run(spool, STOP, *command) for _ in range(3)]

        assert all(was_unfelt(each) for each in done)
        names = [path.name for path in spool.iterdir()]
        assert len(names) == 1
        assert names[0].endswith(".json")
        (place / "rest").unlink()
        assert was_unfelt(run(spool, STOP, *command))
        assert len(left(spool)) == 2
    assert rings(told, 1) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_home_that_nobody_can_write_is_not_felt(
    tmp_path: Path, bell: tuple[list[str], Path]
) -> None:
    with disk(tmp_path / "disk", "size=64k,ro") as place:
        assert was_unfelt(run(place / "telemhq" / "spool", STOP, *bell[0]))
        assert list(place.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_not_felt(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    assert was_unfelt(run(tmp_path / "spool", STOP))


def test_a_file_where_the_spool_should_be_is_not_felt(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("mine")

    assert was_unfelt(run(tmp_path / "spool", STOP))
    assert was_unfelt(run(tmp_path / "spool" / "below", STOP))
    assert (tmp_path / "spool").read_text() == "mine"


def test_without_any_environment_an_entry_is_left(spool: Path) -> None:
    assert was_unfelt(run(spool, STOP, env={}))
    assert len(left(spool)) == 1


@pytest.mark.parametrize("gone", ["hook.py", "telemhq_cli.main"])
def test_a_package_that_an_upgrade_took_away_is_not_felt(gone: str, tmp_path: Path) -> None:
    line = install.command(Locations(tmp_path, tmp_path)).replace(gone, f"gone_{gone}")
    assert f"gone_{gone}" in line

    done = subprocess.run(["/bin/sh", "-c", line], input=STOP, capture_output=True, check=False)

    assert was_unfelt(done)
    assert len(left(tmp_path / "spool")) == (0 if gone == "hook.py" else 1)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_installed_line_minds_no_closed_stream(closed: str, tmp_path: Path) -> None:
    line = install.command(Locations(tmp_path, tmp_path))

    done = subprocess.run(["/bin/sh", "-c", f"({line}) {closed}"], input=START, check=False)

    assert done.returncode == 0
    assert len(left(tmp_path / "spool")) == (0 if "<&-" in closed else 1)


@pytest.mark.parametrize(
    "event", [STOP, json.dumps({**TOOL, "tool_input": {"command": "x"}}).encode(), b"no json"]
)
def test_whatever_the_event_only_the_lightest_modules_are_loaded(event: bytes, spool: Path) -> None:
    watch = (
        "import sys, os; before = set(sys.modules); space = {'__name__': 'hook'}\n"
        f"exec(compile(open({str(HOOK)!r}).read(), 'hook', 'exec'), space)\n"
        "space['main']([sys.argv[1], '/bin/true'])\n"
        "sys.stdout.write(' '.join(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", watch, str(spool)],
        input=event,
        capture_output=True,
        check=True,
    )

    assert len(left(spool)) == 1
    assert set(done.stdout.decode().split()) <= {"time", "_json", "fcntl"}
