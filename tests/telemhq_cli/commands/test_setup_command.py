"""`telemhq setup`: each step once, twice, by options and by answers; and `telemhq` alone."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock, failing
from telemhq_agents.ledger import locks
from telemhq_agents.ledger.store import Ledger
from tests.telemhq_cli.conftest import TELEMHQ
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer
    from tests.telemhq_cli.conftest import Machine, PingServer

SYSTEMCTL = """#!/bin/sh
case "$*" in
  --version) echo 'systemd 252 (252)';;
  *show*) exit {answers};;
  *is-active*) test -e {started};;
  *enable*) touch {started};;
esac
"""


@pytest.fixture(autouse=True)
def _machine(telemhq: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with both agents' logs and a service manager, and nothing else of ours."""
    monkeypatch.chdir(tmp_path)
    manager(telemhq, tmp_path, answers=True)
    CodexSession(telemhq.machine.home / "codex", clock.now_ms()).turn(clock.now_ms(), 100, 10)
    claude = ClaudeSession(telemhq.machine.home / "claude")
    claude.prompt(clock.now_ms(), 100, 10)


def manager(telemhq: CommandLine, folder: Path, *, answers: bool) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "systemctl"
    program.write_text(SYSTEMCTL.format(answers=0 if answers else 1, started=folder / "started"))
    program.chmod(0o755)
    telemhq.machine.extra["PATH"] = f"{folder / 'bin'}:/usr/bin:/bin"
    telemhq.machine.extra["XDG_CONFIG_HOME"] = str(telemhq.machine.home / "config")


def states(telemhq: CommandLine, *options: str, given: str = "", code: int = 0) -> dict[str, str]:
    told = telemhq("setup", *options, "--json", given=given, code=code).document
    assert told["next_step"] == "telemhq usage"
    return {step["name"]: step["state"] for step in told["steps"]}


def hooks(telemhq: CommandLine) -> str:
    path = telemhq.machine.home / "claude" / "settings.json"
    return path.read_text() if path.exists() else ""


def test_a_machine_alone_is_set_up_once_and_again_without_harm(telemhq: CommandLine) -> None:
    first = states(telemhq, "--local", "--yes")
    before = hooks(telemhq)
    second = states(telemhq, "--local", "--yes")

    assert first == {"server": "already so", "hook": "done", "service": "done"}
    assert second == dict.fromkeys(first, "already so")
    assert hooks(telemhq) == before != ""
    assert not (telemhq.machine.ours / "credentials.json").exists()


def test_a_server_is_logged_in_to_tried_and_told_nothing(
    telemhq: CommandLine, server: RunningServer
) -> None:
    options = ("--server", server.url, "--key-stdin", "--yes")

    first = states(telemhq, *options, given=server.api_key)
    second = states(telemhq, "--yes")

    assert first == {"server": "done", "hook": "done", "service": "done", "test ping": "done"}
    assert second == {**dict.fromkeys(first, "already so"), "test ping": "done"}
    trackers = telemhq.asks("tracker", "list")
    assert sorted(one["name"].split(" on ")[0] for one in trackers) == ["Claude Code", "Codex"]
    for one in trackers:
        assert telemhq.asks("tracker", "runs", one["id"]) == []


def test_what_is_not_wanted_is_left_alone(telemhq: CommandLine, server: RunningServer) -> None:
    options = ("--no-claude", "--no-service", "--no-test-ping", "--key-stdin", "--yes")

    found = states(telemhq, "--server", server.url, *options, given=server.api_key)

    assert found == {
        "server": "done",
        "hook": "skipped",
        "service": "skipped",
        "test ping": "skipped",
    }
    assert hooks(telemhq) == ""
    sends = telemhq.asks("agent", "status")["sends_to"]
    assert (bool(sends["codex"]), bool(sends["claude"])) == (True, False)


def test_what_was_chosen_before_stays_until_something_else_is(
    telemhq: CommandLine, server: RunningServer
) -> None:
    options = ("--server", server.url, "--key-stdin", "--no-codex", "--yes")
    states(telemhq, *options, given=server.api_key)

    again = states(telemhq, "--yes")
    sends = telemhq.asks("agent", "status")["sends_to"]
    other = states(telemhq, "--codex", "--yes")

    assert again["server"] == "already so"
    assert (bool(sends["codex"]), bool(sends["claude"])) == (False, True)
    assert other["server"] == "done"
    assert telemhq.asks("agent", "status")["sends_to"]["codex"]


def test_what_fails_says_how_to_mend_it_and_the_rest_goes_on(
    telemhq: CommandLine, server: RunningServer
) -> None:
    done = telemhq(
        *("setup", "--server", server.url, "--key-stdin", "--yes"), given="thq_wrong", code=5
    )

    assert "failed" in done.out
    assert "Added the hook" in done.out
    assert "There is no login to try." in done.out
    assert "1 step failed" in done.out
    assert not (telemhq.machine.ours / "credentials.json").exists()


def test_an_unreachable_server_gives_its_own_exit_code(telemhq: CommandLine) -> None:
    options = ("--server", "http://127.0.0.1:9", "--key-stdin", "--yes")

    assert states(telemhq, *options, given="thq_x", code=6)["server"] == "failed"


def test_this_machine_alone_is_refused_while_usage_goes_to_a_server(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)

    [first, *_] = telemhq("setup", "--local", "--yes", "--json", code=1).document["steps"]

    assert (first["state"], first["next_step"]) == ("failed", "telemhq logout")
    assert telemhq.asks("whoami")["url"] == server.url


def test_without_a_manager_the_service_is_skipped_and_if_asked_for_it_fails(
    telemhq: CommandLine, tmp_path: Path
) -> None:
    manager(telemhq, tmp_path, answers=False)

    assert states(telemhq, "--local", "--yes")["service"] == "skipped"
    told = telemhq("setup", "--local", "--yes", "--service", "--json", code=1).document
    [service] = [step for step in told["steps"] if step["name"] == "service"]
    assert service["state"] == "failed"
    assert service["next_step"] == "systemctl --user enable --now telemhq-agent.service"


def test_beside_the_plugin_no_hook_is_added(telemhq: CommandLine) -> None:
    path = telemhq.machine.home / "claude" / "settings.json"
    text = json.dumps({"enabledPlugins": {"telemhq@telemhq": True}})
    path.write_text(text)

    assert states(telemhq, "--local", "--yes")["hook"] == "done"
    assert path.read_text() == text
    again = telemhq("setup", "--local", "--yes", "--statusline")
    assert "The status line was not set: the plugin has none." in again.err
    assert states(telemhq, "--local", "--yes")["hook"] == "already so"


def test_the_status_line_is_set_only_where_it_is_asked_for(telemhq: CommandLine) -> None:
    states(telemhq, "--local", "--yes")
    assert "statusLine" not in hooks(telemhq)

    assert states(telemhq, "--local", "--yes", "--statusline")["hook"] == "done"
    assert "statusLine" in hooks(telemhq)
    assert states(telemhq, "--local", "--yes")["hook"] == "already so"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Report to a server? Its address, or nothing for this machine alone?"),
        (("--local",), "Nobody is here to answer."),
        (("--local", "--server", "https://x.test"), "exclude each other"),
        (("--local", "--key-stdin"), "--local and --key-stdin exclude each other"),
        (("--local", "--test-ping"), "--local and --test-ping exclude each other"),
        (("--no-claude", "--statusline"), "--no-claude and --statusline exclude each other"),
        (("--server", "x.test", "--yes"), "--server must be an address"),
    ],
)
def test_what_nobody_answers_is_asked_for_by_name_and_nothing_is_changed(
    telemhq: CommandLine, options: Sequence[str], said: str
) -> None:
    assert said in telemhq("setup", *options, code=2).complaint
    assert not telemhq.machine.ours.exists()
    assert hooks(telemhq) == ""


def test_a_key_is_never_an_argument_nor_shown(telemhq: CommandLine, server: RunningServer) -> None:
    done = telemhq(*("setup", "--server", server.url, "--key-stdin", "--yes"), given=server.api_key)

    assert server.api_key not in done.out + done.err
    options = telemhq("setup", "--help").out
    assert "--key-stdin" in options
    assert "--key " not in options


CTRL_C = "\x03"
WITH_A_TERMINAL = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


def typed(machine: Machine, *answers: tuple[str, str]) -> tuple[str, int]:
    """Run `telemhq setup` on a terminal; give each answer once its question is there."""
    terminal, other_side = pty.openpty()
    child = subprocess.Popen(
        [TELEMHQ[0], "-c", WITH_A_TERMINAL, *TELEMHQ, "setup"],
        env=machine.environ,
        stdin=other_side,
        stdout=other_side,
        stderr=other_side,
        start_new_session=True,
    )
    os.close(other_side)
    said, waiting = "", list(answers)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if waiting and waiting[0][0] in said:
            os.write(terminal, waiting.pop(0)[1].encode())
        if not select.select([terminal], [], [], 0.5)[0]:
            # A Ctrl-C just before Python waits for a line is noticed with the next one alone.
            if answers[-1][1] == CTRL_C and not waiting:
                os.write(terminal, CTRL_C.encode())
            continue
        try:
            data = os.read(terminal, 65_536)
        except OSError:
            break  # the other side is closed
        said += data.decode()
    else:
        child.kill()
    os.close(terminal)
    return said.replace("\r", ""), child.wait(10)


def test_a_person_is_asked_and_answers(machine: Machine, server: RunningServer) -> None:
    said, code = typed(
        machine,
        ("Server: ", f"{server.url}\n"),
        (f"API key for {server.url}: ", f"{server.api_key}\n"),
        ("Claude Code: add the hook", "n\n"),
        ("Codex: report its usage too?", "\n"),
        ("Keep the agent running", "n\n"),
    )

    assert code == 0, said
    assert "Found here: Claude Code logs (1 session) and Codex logs (1 session)." in said
    assert "Pings reach" in said
    assert server.api_key not in said
    sent = json.loads((machine.ours / "credentials.json").read_text())["sends_to"]
    assert [*sent] == ["codex"]


@pytest.mark.parametrize(
    "answers",
    [
        [("Server: ", CTRL_C)],
        [("Server: ", "\n"), ("Claude Code: add the hook", CTRL_C)],
        [("Server: ", "http://127.0.0.1:9\n"), ("API key for", CTRL_C)],
    ],
)
def test_ctrl_c_at_any_question_leaves_everything_as_it_was(
    machine: Machine, answers: list[tuple[str, str]]
) -> None:
    said, code = typed(machine, *answers)

    assert code == 130, said
    assert "nothing was changed" in said
    assert not machine.ours.exists()
    assert not (machine.home / "claude" / "settings.json").exists()


def test_telemhq_alone_tells_a_newcomer_in_five_lines_what_to_do(telemhq: CommandLine) -> None:
    lines = telemhq().out.splitlines()

    assert len(lines) == 5
    assert lines[0] == "Found here: Claude Code logs (1 session), Codex logs (1 session)."
    assert all(len(line) <= 80 for line in lines)
    for word in ("telemhq usage", "telemhq setup", "telemhq ping", "telemhq --help"):
        assert any(line.strip().startswith(word) for line in lines)
    assert not telemhq.machine.ours.exists()


def test_telemhq_alone_says_where_nothing_is(people: Any) -> None:
    assert people("nobody")().out.startswith("Found here: no logs of coding agents yet.")


def test_a_sub_agent_is_a_part_of_its_session(telemhq: CommandLine) -> None:
    [log] = (telemhq.machine.home / "claude" / "projects").rglob("*.jsonl")
    below = log.with_suffix("") / "subagents"
    below.mkdir(parents=True)
    (below / "agent-1.jsonl").write_text("")

    assert "Claude Code logs (1 session)" in telemhq().out


def test_telemhq_alone_tells_later_how_things_stand(
    telemhq: CommandLine, ping_server: PingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemhq("usage")
    quiet = telemhq()
    with Ledger.open(telemhq.machine.ours / "ledger.sqlite3") as ledger:
        ledger.enqueue(ping_server.ping_url, "key", b"{}", clock.now_ms())
        [row] = ledger.outbox()
        ledger.park(row, "422: no")
    with monkeypatch.context() as patch:
        patch.setenv("TELEMHQ_HOME", str(telemhq.machine.ours))
        failing.remember(2, clock.now_ms())
    loud = telemhq()

    assert quiet.out.splitlines()[1] == "Agent    does not run (telemhq agent install)"
    assert "220 tokens" in quiet.out.splitlines()[0]
    assert "Failing" not in quiet.out
    assert "Failing  2 trackers (telemhq tracker list)" in loud.out
    assert "Refused  1 ping (telemhq agent outbox)" in loud.out
    assert ping_server.requests == []


def test_telemhq_alone_tells_of_an_agent_that_runs_and_of_its_troubles(
    telemhq: CommandLine,
) -> None:
    telemhq("usage")
    ours = telemhq.machine.ours
    with locks.held(ours / "locks" / "agent.lock", 0):
        runs = telemhq().out.splitlines()[1]
        (ours / "agent.json").write_text('{"last_pass": {"problems": ["the disk is full"]}}')
        complains = telemhq().out.splitlines()[1]

    assert runs == "Agent    runs"
    assert complains == "Agent    runs, but: the disk is full"


def test_telemhq_alone_needs_no_typer_and_no_httpx(machine: Machine) -> None:
    asked = (
        "import sys; from telemhq_cli.main import main; sys.argv = ['telemhq']; main();"
        "heavy = {'typer', 'httpx', 'rich', 'sqlalchemy', 'pydantic'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [TELEMHQ[0], "-c", asked], env=machine.environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
