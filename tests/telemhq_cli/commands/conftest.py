from __future__ import annotations

import gc
import io
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest

from server_stub.run import make_server
from server_stub.settings import Settings
from server_stub.setup import initialise
from telemhq_cli import main as entry
from tests.envelopes import opened
from tests.telemhq_cli.conftest import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """What was said on stderr, as if no line had been folded."""
        return " ".join(self.err.split())

    @property
    def envelope(self) -> Any:
        """What a program reads of any command."""
        return opened(self.out)

    @property
    def document(self) -> Any:
        """What the command itself had to tell a program."""
        return self.envelope["data"]


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
        gc.enable()  # a process that ends leaves its garbage lie; this one runs another command
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


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An SQLite file of a server whose owner is ada@example.com, and her API key; to be copied."""
    path = tmp_path_factory.mktemp("server") / "template.sqlite3"
    made = initialise(Settings(f"sqlite:///{path}"), "ada@example.com", "Ada")
    return path, made.api_key


@contextmanager
def serving(path: Path, initialised: tuple[Path, str]) -> Iterator[RunningServer]:
    """Run a real server in a thread, on a database of its own."""
    template, api_key = initialised
    shutil.copyfile(template, path)
    with running(Settings(f"sqlite:///{path}", port=0), api_key) as live:
        yield live


@contextmanager
def running(settings: Settings, api_key: str) -> Iterator[RunningServer]:
    """Run a real server in a thread, with settings of the test's own."""
    listening: Queue[str] = Queue()
    made, bound = make_server(settings, listening.put)
    thread = threading.Thread(target=made.run, kwargs={"sockets": [bound]})
    thread.start()
    yield RunningServer(listening.get(timeout=20), api_key)
    made.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def server(tmp_path: Path, initialised: tuple[Path, str]) -> Iterator[RunningServer]:
    """A real server in a thread, on a database of its own, with an owner, ada@example.com."""
    with serving(tmp_path / "server.sqlite3", initialised) as live:
        yield live
