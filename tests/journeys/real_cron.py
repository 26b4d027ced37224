"""Jobs under Debian's own cron: `make test-cron`, as root. No part of `make test`.

cron looks at its tables once a minute, so this takes up to a minute and a quarter.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.envelopes import data_of
from tests.telemhq_cli.conftest import PingServer, handler_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = Path("/etc/cron.d/telemhq-test")
PID_FILE = Path("/run/crond.pid")
TELEMHQ = Path(sys.executable).with_name("telemhq")
TWO_MINUTES_AND_SOME_S = 130.0
A_TABLE_IS_SEEN_AFTER_S = 2.5
"""cron compares whole seconds: a table of the second in which it started would not be new to it."""
OF_CRON = {"HOME", "LOGNAME", "PATH", "SHELL"}
OF_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}


@pytest.fixture
def server() -> Iterator[PingServer]:
    found = PingServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(found))
    found.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield found
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def cron() -> Iterator[None]:
    """Have a cron daemon: the machine's own where it runs, else one of ours."""
    if is_running():
        yield
        return
    daemon = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL)
    time.sleep(A_TABLE_IS_SEEN_AFTER_S)
    yield
    daemon.terminate()
    daemon.wait(timeout=10)


def is_running() -> bool:
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(PID_FILE.read_text()), 0)
        return True
    return False


def dead_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/ping/tt_nobody_listens"


def line(url: str, place: Path, job: str, *options: str) -> str:
    """Return a line of a cron table that runs a job every minute, and keeps its code."""
    wrapped = f"{TELEMHQ} ping {url} {' '.join(options)} -- sh -c '{job}'"
    return f"* * * * * root {wrapped} 2> {place}.stderr; echo $? > {place}.tmp; mv {place}.tmp {place}.code\n"  # fmt: skip


def left_in(home: Path) -> Any:
    """Return what waits to be sent, wherever it lies by now: other pings take it along."""
    environ = {"HOME": str(home), "PATH": os.environ["PATH"]}
    subprocess.run([TELEMHQ, "agent", "once"], env=environ, capture_output=True, check=False)
    shown = subprocess.run(
        [TELEMHQ, "agent", "outbox", "--json"], env=environ, capture_output=True, check=True
    )
    return data_of(shown.stdout)


def run_by_cron(table: str, codes: list[Path]) -> None:
    """Leave the table to cron until each job has ended once."""
    TABLE.write_text(table)
    TABLE.chmod(0o644)
    try:
        deadline = time.monotonic() + TWO_MINUTES_AND_SOME_S
        while not all(code.exists() for code in codes) and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        TABLE.unlink()
    assert [code.exists() for code in codes] == [True] * len(codes)


def test_cron_runs_jobs_under_us_as_it_does_without(
    cron: None, server: PingServer, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    works, fails, waits = tmp_path / "works", tmp_path / "fails", tmp_path / "waits"
    table = (
        f"HOME={home}\n"
        + line(server.ping_url, works, f"env > {works}.env; echo to cron", "--tail-output 200")
        + line(dead_url(), fails, "exit 3")
        + line(server.ping_url, waits, "sleep 30", "--kill-after 1")
    )

    run_by_cron(table, [place.with_suffix(".code") for place in (works, fails, waits)])

    codes = [place.with_suffix(".code").read_text().strip() for place in (works, fails, waits)]
    assert codes == ["0", "3", "124"]
    environment = dict(
        word.split("=", 1) for word in works.with_suffix(".env").read_text().splitlines()
    )
    assert OF_CRON <= set(environment) <= OF_CRON | OF_THE_SHELL
    assert (environment["HOME"], environment["PATH"]) == (str(home), "/usr/bin:/bin")
    said = {ping.payload["status"]: ping.payload for ping in server.pings}
    assert said["success"]["output_tail"] == "to cron\n"
    assert (said["error"]["timed_out"], said["error"]["signal"]) == (True, "SIGTERM")
    assert [row["state"] for row in left_in(home)] == ["pending"]
    assert [place.with_suffix(".stderr").read_text() for place in (works, waits)] == ["", ""]
    assert "goes out later" in fails.with_suffix(".stderr").read_text()
