from __future__ import annotations

import io
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_cli import main as entry
from tests.telemhq_cli.conftest import TELEMHQ, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`telemhq …` in this process, as somebody with a home of their own."""

    def __init__(
        self, machine: Machine, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.machine = machine
        self._patch = patch
        self._capture = capture

    def __call__(self, *arguments: str, given: str = "", code: int | None = 0) -> Done:
        with self._patch.context() as patch:
            for name, value in self.machine.environ.items():
                patch.setenv(name, value)
            for name in ("TELEMHQ_URL", "TELEMHQ_API_KEY", "TELEMHQ_PROFILE"):
                if name not in self.machine.extra:
                    patch.delenv(name, raising=False)
            patch.setattr("sys.argv", ["telemhq", *arguments])
            patch.setattr("sys.stdin", io.StringIO(given))
            self._capture.readouterr()
            ended = entry.main()
        out, err = self._capture.readouterr()
        done = Done(ended, out, err)
        assert code is None or ended == code, done
        return done

    def asks(self, *arguments: str, given: str = "") -> Any:
        return self(*arguments, "--json", given=given).document


@pytest.fixture
def telemhq(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    return CommandLine(machine, monkeypatch, capsys)


@pytest.fixture
def people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    def somebody(name: str) -> CommandLine:
        home = tmp_path / name
        home.mkdir()
        return CommandLine(Machine(home), monkeypatch, capsys)

    return somebody


@dataclass(frozen=True)
class RunningServer:
    url: str
    api_key: str


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A real server in a process of its own, with an owner, ada@example.com."""
    machine = Machine(tmp_path / "server")
    machine.home.mkdir()
    made = machine.run("server", "init", "--email", "ada@example.com", "--name", "Ada", "--json")
    assert made.returncode == 0, made.stderr
    running = subprocess.Popen(
        [*TELEMHQ, "server", "run", "--port", "0"],
        env=machine.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout is not None
    said = running.stdout.readline()
    found = re.search(r"http://\S+", said)
    assert found, said
    yield RunningServer(found[0], json.loads(made.stdout)["api_key"])
    running.terminate()
    assert running.wait(20) == 0
    running.stdout.close()
