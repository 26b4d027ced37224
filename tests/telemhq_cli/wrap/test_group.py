"""A signal to the whole process group reaches the job once; one to us alone, once as well."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.telemhq_cli.conftest import TELEMHQ

if TYPE_CHECKING:
    from tests.telemhq_cli.conftest import Machine, PingServer

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux shows what waits for a process"
)

COUNTS = (
    "import os, signal, sys, time\n"
    "heard = []\n"
    "signal.signal(signal.SIGTERM, lambda *_: heard.append(1))\n"
    "print('ready', flush=True)\n"
    "deadline = time.monotonic() + 20\n"
    "wanted = int(sys.argv[1])\n"
    "while len(heard) < wanted and time.monotonic() < deadline: time.sleep(0.01)\n"
    "time.sleep(0.4)\n"
    "sys.exit(40 + len(heard))\n"
)
WATCHED_BY_THEN_S = 0.6
"""Seconds. A job's group is watched once the job has run for a tenth of a second."""


def started(machine: Machine, server: PingServer, *job: str) -> subprocess.Popen[bytes]:
    """Start a job under us in a process group of their own and return once it is watched."""
    wrapper = subprocess.Popen(
        [*TELEMHQ, "ping", server.ping_url, "--", *job],
        env=machine.environ,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert wrapper.stdout is not None
    assert wrapper.stdout.readline() == b"ready\n"
    time.sleep(WATCHED_BY_THEN_S)
    return wrapper


def test_a_signal_to_the_group_reaches_the_job_once_each_time(
    machine: Machine, ping_server: PingServer
) -> None:
    wrapper = started(machine, ping_server, sys.executable, "-c", COUNTS, "2")

    os.killpg(wrapper.pid, signal.SIGTERM)
    time.sleep(0.2)
    os.killpg(wrapper.pid, signal.SIGTERM)

    assert wrapper.wait(20) == 42
    wrapper.communicate()
    assert ping_server.pings[0].payload["exit_code"] == 42


def test_after_one_to_the_group_one_to_us_alone_is_passed_on(
    machine: Machine, ping_server: PingServer
) -> None:
    wrapper = started(machine, ping_server, sys.executable, "-c", COUNTS, "2")

    os.killpg(wrapper.pid, signal.SIGTERM)
    time.sleep(0.2)
    wrapper.terminate()

    assert wrapper.wait(20) == 42
    wrapper.communicate()


def test_signals_sent_to_one_after_the_other_as_a_service_manager_does_reach_the_job_once(
    machine: Machine, ping_server: PingServer
) -> None:
    wrapper = started(machine, ping_server, sys.executable, "-c", COUNTS, "1")

    [job] = [pid for pid in members(wrapper.pid) if pid != wrapper.pid and name_of(pid) != "cat"]
    for pid in members(wrapper.pid):
        if pid != job:
            os.kill(pid, signal.SIGTERM)
    time.sleep(0.1)
    os.kill(job, signal.SIGTERM)

    assert wrapper.wait(20) == 41
    wrapper.communicate()


def test_a_job_that_left_the_group_still_gets_what_the_group_gets(
    machine: Machine, ping_server: PingServer
) -> None:
    code = f"import os; os.setsid()\n{COUNTS}"
    wrapper = started(machine, ping_server, sys.executable, "-c", code, "1")

    os.killpg(wrapper.pid, signal.SIGTERM)

    assert wrapper.wait(20) == 41
    wrapper.communicate()


def test_where_there_is_no_cat_the_start_is_told_all_the_same(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    assert ping_server.capabilities is not None
    ping_server.capabilities["verbs"] = ["start"]
    sleep = shutil.which("sleep") or "sleep"

    subprocess.run(
        [*TELEMHQ, "ping", ping_server.ping_url, "--", sleep, "2"],
        env={**machine.environ, "PATH": str(tmp_path)},
        check=True,
    )

    assert [ping.payload.get("kind") for ping in ping_server.pings] == ["start", None]


def test_nothing_of_ours_is_left_in_the_group_when_we_end(
    machine: Machine, ping_server: PingServer
) -> None:
    wrapper = started(machine, ping_server, "sh", "-c", "echo ready; exec sleep 30")
    sleeping = members(wrapper.pid)
    assert len(sleeping) == 3
    [job] = [pid for pid in sleeping if name_of(pid) == "sleep"]

    wrapper.kill()  # we cannot clean up

    wrapper.wait()
    deadline = time.monotonic() + 10
    while members(wrapper.pid) != [job] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert members(wrapper.pid) == [job]
    os.kill(job, signal.SIGKILL)
    wrapper.communicate()


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def members(group: int) -> list[int]:
    """Return the processes of a group, zombies left out, in the order of their ids."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp, *_ = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(place.parent.name))
    return sorted(found)
