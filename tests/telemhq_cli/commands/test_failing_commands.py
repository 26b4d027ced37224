"""What a program reads of a command that fails, and every code that a command can end with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.envelopes import opened
from tests.telemhq_cli.conftest import TELEMHQ

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer
    from tests.telemhq_cli.conftest import Machine, PingServer

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


def failed(telemhq: CommandLine, *arguments: str, code: int) -> Any:
    """Return the envelope of a command that failed, and see that a person reads the same."""
    done = telemhq(*arguments, "--json", code=code)
    told = done.envelope
    assert told["error"]["exit_code"] == code
    assert told["error"]["next_step"]
    assert " ".join(told["error"]["message"].split()) in done.complaint
    assert " ".join(told["error"]["next_step"].split()) in done.complaint
    return told


MISTAKES = [
    (("trakcer", "list"), "telemhq/1"),
    (("tracker", "lsit"), "telemhq.tracker/1"),
    (("tracker", "list", "--bogus"), "telemhq.tracker-list/1"),
    (("tracker", "show"), "telemhq.tracker-show/1"),
    (("usage", "--by", "shoe-size"), "telemhq.usage/1"),
    (("usage", "--local", "--team"), "telemhq.usage/1"),
    (("status-page", "--nope"), "telemhq.status-page/1"),
    (("ping", "nightly", "--nope"), "telemhq.ping/1"),
    (("ping",), "telemhq.ping/1"),
    (("agent", "run", "--bogus"), "telemhq.agent-run/1"),
    (("config", "get", "shoe-size"), "telemhq.config-get/1"),
    (("--bogus",), "telemhq/1"),
]


@pytest.mark.parametrize(("arguments", "schema"), MISTAKES, ids=str)
def test_a_mistake_before_the_command_began_is_an_envelope_too(
    telemhq: CommandLine, arguments: tuple[str, ...], schema: str
) -> None:
    told = failed(telemhq, *arguments, code=2)

    assert (told["schema"], told["data"], told["error"]["kind"]) == (schema, None, "usage")


@pytest.mark.parametrize("words", [("usage",), ("config", "list"), ("usage", "--by", "day")])
def test_broken_settings_are_told_on_every_road(
    telemhq: CommandLine, words: tuple[str, ...]
) -> None:
    telemhq.machine.ours.mkdir()
    (telemhq.machine.ours / "config.toml").write_text('coalesce = "7m"\n')

    assert failed(telemhq, *words, code=3)["error"]["kind"] == "settings"


def test_a_missing_login_is_told(telemhq: CommandLine) -> None:
    told = failed(telemhq, "whoami", code=4)

    assert told["error"]["kind"] == "not-logged-in"
    assert told["error"]["next_step"].startswith("telemhq login ")


def test_a_refusal_tells_the_servers_status_and_the_type_of_its_problem(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq.machine.extra.update(TELEMHQ_URL=server.url, TELEMHQ_API_KEY="thq_made_up")

    error = failed(telemhq, "whoami", code=5)["error"]

    assert (error["kind"], error["status"], error["type"]) == ("refused", 401, "api-key-unknown")


def test_a_server_that_is_not_there_is_told(telemhq: CommandLine) -> None:
    telemhq.machine.extra.update(TELEMHQ_URL="http://127.0.0.1:9", TELEMHQ_API_KEY="thq_made_up")

    assert failed(telemhq, "whoami", code=6)["error"]["kind"] == "unreachable"


def test_a_ledger_that_cannot_be_mended_is_told(telemhq: CommandLine) -> None:
    telemhq.machine.ours.mkdir()
    (telemhq.machine.ours / "ledger.sqlite3").mkdir()

    assert failed(telemhq, "usage", code=7)["error"]["kind"] == "damaged"


def test_a_fault_of_ours_is_told(telemhq: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ZeroDivisionError("made up")

    monkeypatch.setattr("telemhq_cli.commands.login.session.opened", fails)
    monkeypatch.delenv("TELEMHQ_DEBUG", raising=False)

    told = failed(telemhq, "whoami", code=70)

    assert told["error"]["kind"] == "fault"
    assert told["error"]["message"].startswith("TypeError: ")


def test_a_damaged_ledger_is_a_warning_beside_the_answer(telemhq: CommandLine) -> None:
    telemhq.asks("usage")
    (telemhq.machine.ours / "ledger.sqlite3").write_bytes(b"not a ledger " * 1000)

    told = telemhq("usage", "--json").envelope

    assert told["error"] is None
    assert told["data"]["rows"] == []
    assert "the ledger was damaged" in told["messages"][0]["text"]


def test_a_refused_ping_is_told_with_what_became_of_it(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.status, ping_server.answer = 422, {"title": "Too large", "status": 422}

    done = machine.run("ping", ping_server.ping_url, "--json")

    told = opened(done.stdout)
    assert done.returncode == 5
    assert told["data"]["outcome"] == "refused"
    assert (told["error"]["kind"], told["error"]["exit_code"]) == ("refused", 5)
    assert told["error"]["message"] in done.stderr
    assert told["messages"] == []


def test_a_job_keeps_stdout_to_itself_and_its_ping_is_one_line(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.status, ping_server.answer = 422, {"title": "Too large", "status": 422}

    done = machine.run("ping", ping_server.ping_url, "--json", "--", "sh", "-c", "echo mine")

    [line] = done.stderr.splitlines()
    told = opened(line)
    assert (done.stdout, done.returncode) == ("mine\n", 0)
    assert (told["data"]["outcome"], told["error"]) == ("refused", None)
    assert "422" in told["messages"][0]["text"]


def test_a_job_that_is_asked_for_json_does_not_make_us_speak_it(machine: Machine) -> None:
    done = machine.run("ping", "--bogus", "--", "sh", "-c", "exit 3", "--json")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("telemhq: there is no option --bogus; the run is not recorded")


@needs_full
def test_a_full_disk_costs_the_document_and_no_more(machine: Machine) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*TELEMHQ, "config", "list", "--json"],
            env=machine.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 1
    assert done.stderr == "telemhq: No space left on device: the output is not whole\n"


def test_an_interrupted_command_prints_no_document(
    telemhq: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("telemhq_cli.commands.login.session.opened", interrupted)

    done = telemhq("whoami", "--json", code=130)

    assert (done.out, done.err) == ("", "")


def test_a_question_that_nobody_answers_is_told(machine: Machine) -> None:
    ours_end, theirs = os.openpty()
    asking = subprocess.Popen(
        [*TELEMHQ, "privacy", "forget", "--json"],
        env=machine.environ,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.write(ours_end, b"\x04")
    out, err = asking.communicate(timeout=30)
    os.close(ours_end)

    assert asking.returncode == 1
    assert opened(out)["error"]["message"] == "Nothing was answered, and nothing was changed."
    assert "Delete every prompt" in err
