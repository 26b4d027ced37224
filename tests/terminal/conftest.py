from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.terminal.stage import ROOT, Stage, stage
from tests.terminal.tmux import Size, Terminal, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL, LARGE = Size(80, 24), Size(160, 50)
LOCALES = {"utf8": "C.UTF-8", "c": "C"}


@dataclass(frozen=True, slots=True)
class Seat:
    """A terminal, and who sits there."""

    terminal: Terminal
    stage: Stage
    locale: str

    @property
    def kind(self) -> str:
        return f"{self.terminal.size}-{self.locale}"

    @property
    def is_ascii(self) -> bool:
        return self.locale == "c"

    def sits(self, name: str) -> Terminal:
        """Let this person sit down, at an empty screen."""
        environ = self.stage.environ(name, LOCALES[self.locale])
        self.terminal.open_shell(environ, self.stage.homes[name])
        return self.terminal


@pytest.fixture(scope="session")
def everybody() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch, stage(patch) as homes:
        yield homes


@pytest.fixture(scope="session")
def terminals(everybody: Stage) -> Iterator[dict[Size, Terminal]]:
    del everybody  # the place is ours from there on
    with opened(ROOT, SMALL) as small, opened(ROOT, LARGE) as large:
        yield {SMALL: small, LARGE: large}


@pytest.fixture(params=[SMALL, LARGE], ids=str)
def size(request: pytest.FixtureRequest) -> Size:
    found: Size = request.param
    return found


@pytest.fixture(params=LOCALES)
def seat(
    request: pytest.FixtureRequest, everybody: Stage, terminals: dict[Size, Terminal], size: Size
) -> Iterator[Seat]:
    terminal = terminals[size]
    yield Seat(terminal, everybody, request.param)
    terminal.resizes(size)
