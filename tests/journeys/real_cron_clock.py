"""Debian's own cron across both clock changes: `make test-cron`, as root. No part of `make test`.

A minute of its clock is a second of ours (faketime), its tables and its lock are in a mount
namespace of its own: the machine's cron does not notice. Takes three minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from server_stub.domain.schedule import Timetable
from tests.server_stub.test_schedule import IN_MARCH, IN_OCTOBER, RIGA

if TYPE_CHECKING:
    from pathlib import Path

SPEED = 60
MINUTE_MS = 60_000
NEEDED = ("cron", "faketime", "unshare", "timeout")
CRONS = sorted(
    {case[0] for case in (*IN_MARCH, *IN_OCTOBER)} | {"0,20,40 3 * * *", "0 3-5/2 * * 0"}
)
OWN_CRON = """
mount -t tmpfs none /run && mount --bind "$1/tables" /etc/cron.d || exit 9
if test -d /var/spool/cron/crontabs; then mount -t tmpfs none /var/spool/cron/crontabs; fi
date +%s.%N > "$1/began"
TZ="$2" exec timeout "$4" faketime -f "@$3 x60" cron -f
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a cron of its own"),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"
    ),
]


@dataclass(frozen=True, slots=True)
class Night:
    """A stretch of time in Riga, by its clock, and how many real minutes of it are watched."""

    name: str
    begins: str
    minutes: int

    @property
    def begins_ms(self) -> int:
        return int(datetime.fromisoformat(self.begins).timestamp()) * 1000

    @property
    def ends_ms(self) -> int:
        return self.begins_ms + self.minutes * MINUTE_MS


NIGHTS = (
    Night("march", "2021-03-28T02:50:00+02:00", 80),
    Night("october", "2021-10-31T02:50:00+03:00", 170),
)


def start(night: Night, place: Path) -> subprocess.Popen[bytes]:
    """Start a cron that runs every expression and notes when it did."""
    tables = place / "tables"
    tables.mkdir(parents=True)
    log = place / "log"
    lines = [
        f'{cron} root date +"\\%s.\\%N {number}" >> {log}\n' for number, cron in enumerate(CRONS)
    ]
    table = tables / "nights"
    table.write_text("".join(lines))
    table.chmod(0o644)
    clock = night.begins[:19].replace("T", " ")
    script = ["sh", "-c", OWN_CRON, "cron", str(place), RIGA, clock, str(night.minutes)]
    return subprocess.Popen(["unshare", "--mount", *script], stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[int]]]:
    """When cron ran each expression (milliseconds UTC of its clock), by night."""
    places = {night: tmp_path_factory.mktemp(night.name) for night in NIGHTS}
    crons = [start(night, place) for night, place in places.items()]
    try:
        codes = [cron.wait(timeout=240) for cron in crons]
    finally:
        for cron in crons:
            cron.kill()
    if 9 in codes:
        pytest.skip("this machine allows no mount namespace")
    return {night.name: read(night, place) for night, place in places.items()}


def read(night: Night, place: Path) -> dict[str, set[int]]:
    began = float((place / "began").read_text())
    found: dict[str, set[int]] = defaultdict(set)
    for line in (place / "log").read_text().splitlines():
        second, number = line.split()
        passed_ms = int((float(second) - began) * SPEED * 1000)
        moment_ms = night.begins_ms + passed_ms
        found[CRONS[int(number)]].add(moment_ms - moment_ms % MINUTE_MS)
    return found


def expected(cron: str, night: Night) -> set[int]:
    """Return the moments that we expect, without the last minute, in which cron was ended."""
    timetable, moments = Timetable(cron, RIGA), set()
    moment_ms = timetable.after(night.begins_ms)
    while moment_ms is not None and moment_ms < night.ends_ms - MINUTE_MS:
        moments.add(moment_ms)
        moment_ms = timetable.after(moment_ms)
    return moments


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
@pytest.mark.parametrize("cron", CRONS)
def test_pings_are_expected_when_debians_cron_runs_their_jobs(
    ran: dict[str, dict[str, set[int]]], cron: str, night: Night
) -> None:
    seen = {moment for moment in ran[night.name][cron] if moment < night.ends_ms - MINUTE_MS}

    assert seen == expected(cron, night)


def test_the_nights_were_seen_whole(ran: dict[str, dict[str, set[int]]]) -> None:
    every_minute = [len(ran[night.name]["* * * * *"]) for night in NIGHTS]

    assert every_minute[0] >= 75
    assert every_minute[1] >= 165
