"""How the program ends where its streams take nothing, and what it hears from the first moment."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from telemhq_cli import following, main
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
