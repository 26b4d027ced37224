"""A tracker that somebody moved on another machine, and the jobs here that know it by name."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from telemhq_agents.delivery import quick
from tests.contract.test_first_use import TELEMHQ, Person, serving
from tests.envelopes import data_of

if TYPE_CHECKING:
    from pathlib import Path


def ping(person: Person, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TELEMHQ, "ping", *arguments],
        env=person.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def outbox(person: Person) -> list[str]:
    return [row["state"] for row in person.asks("agent", "outbox")]


def test_a_name_is_looked_up_again_once_its_url_is_refused(tmp_path: Path) -> None:
    here, elsewhere = Person(tmp_path / "here"), Person(tmp_path / "elsewhere")
    key = here.run("server", "init", "--email", "ada@example.com").strip()

    with serving(here) as url:
        for machine in (here, elsewhere):
            machine.run("login", "--url", url, "--key-stdin", given=key)
        old = here.asks("tracker", "create", "nightly")["ping_url"]
        new = elsewhere.asks("tracker", "rotate", "nightly", "--yes")["ping_url"]

        rotated = ping(here, "nightly", "--json")
        assert (rotated.returncode, rotated.stderr) == (0, "")
        quick.send(new, data_of(rotated.stdout)["key"], b"{}")  # counts, if the key is another
        assert len(here.asks("tracker", "runs", "nightly")) == 1
        assert outbox(here) == []

        elsewhere.run("tracker", "delete", "nightly", "--yes")
        deleted = ping(here, "nightly")
        assert deleted.returncode == 5
        assert "There is no tracker 'nightly' here" in deleted.stderr
        assert "telemhq tracker list" in deleted.stderr
        assert outbox(here) == ["parked"]

        elsewhere.run("tracker", "create", "nightly")
        assert ping(here, "nightly").returncode == 0
        assert len(here.asks("tracker", "runs", "nightly")) == 1

        by_url = ping(here, old)
        assert by_url.returncode == 5
        assert "telemhq agent outbox" in by_url.stderr


def test_where_nobody_can_be_asked_the_name_keeps_its_url(tmp_path: Path) -> None:
    here = Person(tmp_path / "here")
    key = here.run("server", "init", "--email", "ada@example.com").strip()

    with serving(here) as url:
        here.run("login", "--url", url, "--key-stdin", given=key)
        here.run("tracker", "create", "nightly")
        held = here.home / ".config/telemhq/credentials.json"
        known = json.loads(held.read_text())
        before = known["trackers"]
        here.run("tracker", "delete", "nightly", "--yes")
        held.write_text(json.dumps({**known, "profiles": {}}))

        done = ping(here, "nightly")

    assert done.returncode == 5
    assert "Nobody can be asked from here where the tracker 'nightly' is now" in done.stderr
    assert json.loads(held.read_text())["trackers"] == before
    assert outbox(here) == ["parked"]
