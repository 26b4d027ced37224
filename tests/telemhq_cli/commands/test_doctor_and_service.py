"""`telemhq doctor` and `telemhq agent install | uninstall | status`, on machines made for them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock
from telemhq_agents.ledger import locks
from telemhq_agents.ledger.store import Ledger
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

SYSTEMCTL = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
  --version) echo 'systemd 252 (252)';;
  *show*) exit {answers};;
  *is-active*) test -e {log}.started;;
  *enable*) touch {log}.started;;
  *disable*) rm -f {log}.started;;
esac
"""


@pytest.fixture
def manager(telemhq: CommandLine, tmp_path: Path) -> Path:
    """A systemctl first in the path, and what it was asked."""
    return systemctl(telemhq, tmp_path, answers=True)


def systemctl(telemhq: CommandLine, folder: Path, *, answers: bool) -> Path:
    log = folder / "asked"
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "systemctl"
    program.write_text(SYSTEMCTL.format(log=log, answers=0 if answers else 1))
    program.chmod(0o755)
    telemhq.machine.extra["PATH"] = f"{folder / 'bin'}:/usr/bin:/bin"
    telemhq.machine.extra["XDG_CONFIG_HOME"] = str(telemhq.machine.home / "config")
    return log


def unit(telemhq: CommandLine) -> Path:
    return telemhq.machine.home / "config" / "systemd" / "user" / "telemhq-agent.service"


def findings(telemhq: CommandLine, *options: str, code: int = 0) -> dict[str, Any]:
    told = telemhq("doctor", "--json", *options, code=code).document["findings"]
    return {one["name"]: one for one in told}


def test_installing_starts_the_service_and_uninstalling_takes_it_away(
    telemhq: CommandLine, manager: Path
) -> None:
    first = telemhq.asks("agent", "install")
    second = telemhq.asks("agent", "install")

    assert (first["changed"], first["started"], first["manager"]) == (True, True, "systemd")
    assert (second["changed"], second["started"]) == (False, True)
    assert first["path"] == str(unit(telemhq))
    assert f'"TELEMHQ_HOME={telemhq.machine.ours}"' in unit(telemhq).read_text()
    assert "--user enable --now telemhq-agent.service" in manager.read_text()
    assert telemhq.asks("agent", "status")["service"]["active"] is True
    assert telemhq.asks("agent", "uninstall")["changed"] is True
    assert not unit(telemhq).exists()
    assert "is not there" in telemhq("agent", "uninstall").out


@pytest.mark.usefixtures("manager")
def test_an_agent_that_runs_already_is_named_when_the_service_is_installed(
    telemhq: CommandLine,
) -> None:
    with locks.held(telemhq.machine.ours / "locks" / "agent.lock", 0):
        done = telemhq("agent", "install")

    assert "takes over when it ends" in done.complaint
    assert "takes over" not in telemhq("agent", "install").complaint


def test_without_an_answering_manager_the_file_is_there_and_the_commands_are_told(
    telemhq: CommandLine, tmp_path: Path
) -> None:
    systemctl(telemhq, tmp_path, answers=False)

    done = telemhq("agent", "install")

    assert f"Wrote {unit(telemhq)}" in done.out
    assert "The agent runs" not in done.out
    assert "systemctl --user enable --now telemhq-agent.service" in done.err
    assert unit(telemhq).exists()
    found = findings(telemhq, code=8)["service"]
    assert "does not answer" in found["message"]
    assert found["next_step"] == "telemhq agent run"


def test_a_machine_without_a_manager_is_told_what_to_do(
    telemhq: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    telemhq.machine.extra["PATH"] = str(tmp_path / "empty")

    done = telemhq("agent", "install", code=1)

    assert "no systemd" in done.complaint
    assert "telemhq agent run" in done.complaint
    assert telemhq.asks("agent", "status")["service"] is None


@pytest.mark.usefixtures("manager")
def test_the_doctor_changes_nothing_and_names_what_to_do_first(telemhq: CommandLine) -> None:
    found = findings(telemhq)

    assert found["agent"]["next_step"] == "telemhq agent install"
    assert found["login"]["severity"] == "note"
    assert not telemhq.machine.ours.exists()


@pytest.mark.usefixtures("manager")
def test_the_doctor_sees_logs_the_hook_and_models_without_a_price(telemhq: CommandLine) -> None:
    CodexSession(telemhq.machine.home / "codex", clock.now_ms()).turn(clock.now_ms(), 100, 10)
    path = ClaudeSession(telemhq.machine.home / "claude").path
    path.write_text("")
    telemhq("usage", "--local")

    before = findings(telemhq)
    telemhq("claude", "install")
    after = findings(telemhq)

    assert "codex: 1 log" in before["logs"]["message"]
    assert before["hook"]["next_step"] == "telemhq claude install"
    assert after["hook"]["severity"] == "ok"


@pytest.mark.usefixtures("manager")
def test_a_refused_ping_is_an_error_and_ends_with_one(telemhq: CommandLine) -> None:
    telemhq.machine.ours.mkdir()
    with Ledger.open(telemhq.machine.ours / "ledger.sqlite3") as ledger:
        ledger.enqueue("https://telemhq.example.com/ping/tt_x", "key", b"{}", clock.now_ms())
        [row] = ledger.outbox()
        ledger.park(row, "422: no")

    found = findings(telemhq, code=1)

    assert found["parked"]["severity"] == "error"
    assert found["parked"]["next_step"] == "telemhq agent outbox"


@pytest.mark.usefixtures("manager")
def test_credentials_that_others_can_read_are_an_error(telemhq: CommandLine) -> None:
    telemhq.machine.ours.mkdir()
    held = telemhq.machine.ours / "credentials.json"
    held.write_text(json.dumps({"version": 1}))
    held.chmod(0o644)

    assert findings(telemhq, code=1)["credentials"]["next_step"] == f"chmod 600 {held}"


@pytest.mark.usefixtures("manager")
def test_the_server_is_asked_unless_told_not_to(telemhq: CommandLine) -> None:
    telemhq.machine.extra["TELEMHQ_URL"] = "http://127.0.0.1:9"
    telemhq.machine.extra["TELEMHQ_API_KEY"] = "thq_made_up"

    assert findings(telemhq, code=1)["server"]["severity"] == "error"
    assert findings(telemhq, "--online", code=1)["server"]["severity"] == "error"
    skipped = findings(telemhq, "--offline")["server"]
    assert (skipped["severity"], "--offline" in skipped["message"]) == ("ok", True)


@pytest.mark.usefixtures("manager")
def test_without_a_login_no_server_is_asked(telemhq: CommandLine) -> None:
    assert "server" not in findings(telemhq)


@pytest.mark.usefixtures("manager")
def test_a_server_that_answers_tells_its_time(telemhq: CommandLine, server: RunningServer) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)

    found = findings(telemhq, code=8)

    assert found["server"]["severity"] == "ok"
    assert found["clock"]["message"] == "This machine's clock agrees with the server's."
    assert found["agent"]["severity"] == "warning"


@pytest.mark.usefixtures("manager")
def test_another_login_than_the_one_in_use_can_be_looked_at(
    telemhq: CommandLine, server: RunningServer
) -> None:
    login = ("login", "--url", server.url, "--key-stdin", "--profile", "work")
    telemhq(*login, given=server.api_key)

    assert "server" not in findings(telemhq, code=8)
    found = findings(telemhq, "--profile", "work", code=8)
    assert server.url in found["server"]["message"]
    assert "profile work (--profile)" in found["settings"]["message"]


@pytest.mark.usefixtures("manager")
def test_a_login_that_a_setting_leads_away_from_is_an_error(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)
    telemhq("config", "set", "url", "https://elsewhere.test")

    found = findings(telemhq, code=1)["server"]

    assert f"belongs to {server.url}" in found["message"]


@pytest.mark.usefixtures("manager")
def test_a_key_that_the_server_does_not_take_is_an_error(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq.machine.extra |= {"TELEMHQ_URL": server.url, "TELEMHQ_API_KEY": "thq_made_up"}

    assert findings(telemhq, code=1)["server"]["severity"] == "error"


@pytest.mark.usefixtures("manager")
def test_the_exit_code_tells_the_worst_of_three(telemhq: CommandLine) -> None:
    assert telemhq("doctor", code=0).out.count("note")
    assert telemhq.asks("doctor")["worst"] == "note"

    telemhq.machine.ours.mkdir()
    (telemhq.machine.ours / "spool" / "damaged").mkdir(parents=True)
    (telemhq.machine.ours / "spool" / "damaged" / "x").write_text("?")
    assert telemhq("doctor", "--json", code=8).document["worst"] == "warning"

    (telemhq.machine.ours / "config.toml").write_text("\ncolesce = 1\n")
    wrong = findings(telemhq, code=1)["settings"]
    assert "config.toml, line 2: there is no setting 'colesce'" in wrong["message"]


@pytest.mark.usefixtures("manager")
def test_no_secret_is_in_anything_the_doctor_says(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)
    held = json.loads((telemhq.machine.ours / "credentials.json").read_text())
    [destination, *_] = held["destinations"].values()
    token = destination["ping_url"].rpartition("/")[2]
    with Ledger.open(telemhq.machine.ours / "ledger.sqlite3") as ledger:
        ledger.enqueue(destination["ping_url"], "key", b"{}", clock.now_ms())
        [row] = ledger.outbox()
        ledger.park(row, f"401: {server.api_key} whsec_{'a' * 32}")
    problems = [f"no {server.api_key}", f"at {destination['ping_url']}", f"whsec_{'a' * 32}"]
    for problem in problems:
        status = {"last_pass_ms": clock.now_ms(), "last_pass": {"problems": [problem]}}
        (telemhq.machine.ours / "agent.json").write_text(json.dumps(status))

        for options in ((), ("--json",), ("--csv",)):
            done = telemhq("doctor", *options, code=1)

            assert "[masked]" in done.out
            for secret in (server.api_key, token, "a" * 32, held["device"]["salt"]):
                assert secret not in done.out + done.err


@pytest.mark.usefixtures("manager")
def test_a_project_file_that_redirects_is_named_with_its_line(
    telemhq: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".telemhq.toml").write_text('project = "shop"\nurl = "https://evil.test"\n')
    monkeypatch.chdir(tmp_path)

    found = findings(telemhq, code=8)["project file"]

    assert f"{tmp_path}/.telemhq.toml, line 2: url does not belong here" in found["message"]


@pytest.mark.usefixtures("manager")
def test_what_is_not_read_yet_is_told_and_then_it_is_read(telemhq: CommandLine) -> None:
    log = CodexSession(telemhq.machine.home / "codex", clock.now_ms())
    log.turn(clock.now_ms(), 100, 10)
    before = findings(telemhq)["cursors"]
    telemhq("agent", "once")
    after = findings(telemhq)["cursors"]
    log.turn(clock.now_ms(), 100, 10)
    later = findings(telemhq)["cursors"]

    assert "codex: 1 of 1 log not read to the end yet" in before["message"]
    assert before["next_step"] == "telemhq agent once"
    assert after["message"] == "codex: 1 log read to the end."
    assert "1 of 1 log not read" in later["message"]


@pytest.mark.usefixtures("manager")
def test_the_doctor_speaks_text_json_and_csv(telemhq: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(telemhq("doctor", "--csv").out)))
    text = " ".join(telemhq("doctor").out.split())

    assert [*rows[0]] == ["theme", "name", "severity", "message", "next_step"]
    assert all(row["message"] in text for row in rows)
    assert len(rows) == len(findings(telemhq))


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_finding_is_folded_between_words_and_its_command_never(
    telemhq: CommandLine, width: int
) -> None:
    lines = telemhq("doctor", "--width", str(width)).out.splitlines()

    long = [line for line in lines if len(line) > width]
    assert all(">" in line or "/" in line for line in long)  # commands and paths are to be copied
    assert any(line.startswith("           > telemhq agent install") for line in lines)
