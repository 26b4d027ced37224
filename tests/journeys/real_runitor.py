"""The real runitor, unchanged, in front of a real server: `make test-runitor`. No part of `make test`."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.journeys.household import Person, Server, free_port, running

if TYPE_CHECKING:
    from pathlib import Path

RUNITOR = shutil.which("runitor")
pytestmark = pytest.mark.skipif(RUNITOR is None, reason="there is no runitor here")


def test_runitor_records_starts_ends_failures_and_what_the_job_printed(tmp_path: Path) -> None:
    person = Person(tmp_path / "home")
    database = tmp_path / "server.sqlite3"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = person.environ | {
        "TELEMHQ_DATABASE_URL": f"sqlite:///{database}",
        "TELEMHQ_PUBLIC_URL": url,
    }
    key = person.asks(
        "server", "init", "--email", "ada@example.com", "--database", f"sqlite:///{database}"
    )["api_key"]
    with running(Server(environ, port)):
        person.run("login", "--url", url, "--key-stdin", given=key)
        tracker = person.asks("tracker", "create", "nightly")
        token = tracker["ping_url"].rsplit("/", 1)[1]
        codes = [
            wrapped(f"{url}/ping", token, script)
            for script in (
                "echo saved 12 files",
                "echo disk full >&2; exit 3",
                r"printf '\377\376'",
            )
        ]
        codes.append(wrapped(f"{url}/ping", token, "", "/no/such/program"))

    assert codes[:3] == [0, 3, 0]
    assert codes[3] != 0
    kinds, texts, failures = stored(database)
    assert kinds == ["start", "run"] * 4
    assert "saved 12 files" in texts[1]
    assert "disk full" in texts[3]
    assert "\ufffd\ufffd" in texts[5]
    assert failures == 2


def wrapped(api: str, token: str, script: str, program: str = "sh") -> int:
    """Run a script under runitor as anybody would; return runitor's exit code."""
    assert RUNITOR is not None
    command = [program] if program != "sh" else ["sh", "-c", script]
    done = subprocess.run(
        [RUNITOR, "-api-url", api, "-uuid", token, "--", *command],
        capture_output=True,
        timeout=60,
        check=False,
    )
    # It writes to stderr when a ping was refused.
    assert b"Ping" not in done.stderr, done.stderr
    return done.returncode


def stored(database: Path) -> tuple[list[str], list[str], int]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT kind, payload FROM runs ORDER BY id").fetchall()
        (failures,) = connection.execute("SELECT sum(failures) FROM buckets").fetchone()
    return [kind for kind, _ in rows], [payload for _, payload in rows], failures
