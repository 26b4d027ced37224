"""How the program ends where its streams take nothing, and what it hears from the first moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from telemhq_cli import following, main
from tests.envelopes import data_of
from tests.telemhq_cli.conftest import TELEMHQ

if TYPE_CHECKING:
    from tests.telemhq_cli.conftest import Machine

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


@needs_full
@pytest.mark.parametrize(("words", "code"), [("agent logs", 0), ("usage --bogus", 2)])
def test_a_stderr_that_takes_nothing_changes_no_exit_code(
    machine: Machine, words: str, code: int
) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*TELEMHQ, *words.split()], env=machine.environ, stderr=full, check=False, timeout=60
        )

    assert done.returncode == code


@needs_full
def test_output_that_finds_no_room_is_said_and_is_no_fault_of_ours(machine: Machine) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*TELEMHQ, "config", "list"],
            env=machine.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 1
    assert done.stderr == "telemhq: No space left on device: the output is not whole\n"


@pytest.mark.parametrize("words", ["", "config path", "config list", "config list --csv"])
def test_a_stdout_that_is_closed_is_no_fault_of_ours(machine: Machine, words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *TELEMHQ, *words.split()],
        env=machine.environ,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_reload_before_the_agent_hears_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 7

    monkeypatch.setattr(following, "run", run)
    monkeypatch.setattr("sys.argv", ["telemhq", "agent", "run"])
    before = signal.signal(signal.SIGHUP, lambda *_: pytest.fail("it was heard"))
    try:
        assert main.main() == 7
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_a_terminal_has_no_letters_for_is_no_fault(
    machine: Machine, encoding: str
) -> None:
    machine.ours.mkdir()
    (machine.ours / "config.toml").write_text('private = ["~/研究/é"]\n', encoding="utf-8")
    machine.extra["PYTHONIOENCODING"] = encoding

    text, as_json = (
        subprocess.run(
            [*TELEMHQ, "config", "get", "private", *options],
            env=machine.environ,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for options in ((), ("--json",))
    )

    shown = {"ascii": b"\\u7814\\u7a76/\\xe9", "latin-1": b"\\u7814\\u7a76/\xe9"}
    assert shown.get(encoding, "研究/é".encode()) in text
    assert data_of(as_json.decode(encoding))["value"] == ["~/研究/é"]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv here")
def test_a_directory_that_is_closed_to_us_is_named_and_the_doctor_goes_on(machine: Machine) -> None:
    machine.ours.mkdir(parents=True, exist_ok=True)
    machine.ours.chmod(0)
    rights = "-dac_override,-dac_read_search"
    weaker = ["setpriv", "--bounding-set", rights, "--inh-caps", rights] if os.getuid() == 0 else []

    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*weaker, *TELEMHQ, *arguments],
            env=machine.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        alone, doctor = said(), said("doctor", "--offline")
    finally:
        machine.ours.chmod(0o700)

    assert (alone.returncode, "telemhq doctor" in alone.stderr) == (1, True)
    assert str(machine.ours) in alone.stderr
    assert (doctor.returncode, "cannot be opened" in doctor.stdout) == (1, True)
