"""From nothing to a report, as somebody new would type it, with real processes all the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock
from tests.envelopes import data_of
from tests.telemhq_cli.logs import CodexSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TELEMHQ = (sys.executable, "-m", "telemhq_cli.main")


class Person:
    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.home = home
        kept = {name: value for name, value in os.environ.items() if "TELEMHQ" not in name}
        self.environ = {
            **kept,
            "HOME": str(home),
            "CODEX_HOME": str(home / "codex"),
            "CLAUDE_CONFIG_DIR": str(home / "claude"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local/share"),
        }

    def run(self, *arguments: str, given: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [*TELEMHQ, *arguments],
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout

    def asks(self, *arguments: str) -> Any:
        return data_of(self.run(*arguments, "--json"))


@contextmanager
def serving(person: Person, *options: str) -> Iterator[str]:
    server = subprocess.Popen(
        [*TELEMHQ, "server", "run", "--port", "0", *options],
        env=person.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = re.search(r"http://\S+", server.stdout.readline())
    assert url
    try:
        yield url[0]
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        server.stdout.close()


def run_until_its_start_is_told(person: Person, told: Path) -> None:
    """Run a job under `telemhq ping` that fails once the server shows its start."""
    job = f"while ! test -e {told}; do sleep 0.05; done; exit 3"
    wrapper = subprocess.Popen(
        [*TELEMHQ, "ping", "nightly", "--", "sh", "-c", job], env=person.environ
    )
    deadline = time.monotonic() + 20
    while not person.asks("tracker", "runs", "nightly") and time.monotonic() < deadline:
        time.sleep(0.1)
    told.touch()
    assert wrapper.wait(20) == 3


def test_first_use_without_any_variable_of_ours(tmp_path: Path) -> None:
    live_through_first_use(Person(tmp_path / "ada"), tmp_path)


def test_two_server_processes_on_postgresql_make_no_difference(
    tmp_path: Path, own_postgres_url: str
) -> None:
    ada = Person(tmp_path / "ada")
    ada.environ["TELEMHQ_DATABASE_URL"] = own_postgres_url.replace("+psycopg", "")

    live_through_first_use(ada, tmp_path, "--workers", "2")


def live_through_first_use(ada: Person, tmp_path: Path, *options: str) -> None:
    key = ada.run("server", "init", "--email", "ada@example.com").strip()

    with serving(ada, *options) as url:
        ada.run("login", "--url", url, "--key-stdin", given=key)
        tracker = ada.asks("tracker", "create", "nightly")
        run_until_its_start_is_told(ada, tmp_path / "told")
        ada.run("ping", tracker["ping_url"], "-f", "input_tokens=10", "--model", "gpt-5")
        now = clock.now_ms() - 1000
        CodexSession(ada.home / "codex", now).turn(now, 100, 10)
        ada.run("agent", "once")

        runs = ada.asks("tracker", "runs", "nightly")
        report = ada.asks("usage", "--mine", "--by", "tracker")
        again = ada.asks("usage", "--mine", "--by", "tracker")

    assert sorted((run["kind"], run["failed"]) for run in runs) == [
        ("run", False),
        ("run", True),
        ("start", False),
    ]
    [failed] = [run for run in runs if run["failed"]]
    assert failed["payload"]["exit_code"] == 3
    assert failed["duration_ms"] >= 1000
    rows = {row["tracker"].split(" on ")[0]: row for row in report["rows"]}
    assert (rows["nightly"]["runs"], rows["nightly"]["failures"]) == (2, 1)
    assert (rows["Codex"]["runs"], rows["Codex"]["input_tokens"]) == (1, 100)
    assert report == again
    assert report["total"]["runs"] == 3
