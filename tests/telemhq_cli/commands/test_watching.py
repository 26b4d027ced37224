"""What is watched is drawn in place, moves by keys alone, and survives what goes wrong."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from rich.text import Text

from telemhq_agents.errors import BrokenLedgerError, UnreachableError
from telemhq_cli.commands import watching
from telemhq_cli.render.live import Key, keys_of
from telemhq_cli.render.output import note, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class FakeTerminal:
    """A terminal of so many lines, on which keys are typed one after the other, a second each."""

    def __init__(self, clock: Clock, keys: Sequence[Key], height: int = 6) -> None:
        self.clock, self.keys, self.height = clock, list(keys), height
        self.frames: list[list[str]] = []
        self.suspended = 0

    @property
    def size(self) -> tuple[int, int]:
        return 40, self.height

    def draw(self, lines: list[Text]) -> None:
        self.frames.append([line.plain for line in lines])

    def wait(self, seconds: float) -> Key:
        assert seconds <= 2
        self.clock.now += 1
        return self.keys.pop(0)

    def suspend(self) -> None:
        self.suspended += 1


class Numbers:
    """Counts how often it was looked at; its lines are numbered."""

    said = "all is well"

    def __init__(
        self, count: int = 20, fails: Callable[[int], Exception | None] | None = None
    ) -> None:
        self.looks, self.hears, self.count = 0, 0, count
        self.fails = fails or (lambda _: None)

    def look(self) -> None:
        error = self.fails(self.looks + 1)
        self.looks += 1
        if error is not None:
            raise error

    def hear(self) -> None:
        self.hears += 1

    def lines(self, width: int, height: int) -> list[Text]:
        assert (width, height) == (40, 5)
        return [Text(f"{self.looks}.{at}") for at in range(self.count)]


def followed(view: Numbers, *keys: Key, every_s: float = 2) -> FakeTerminal:
    clock = Clock()
    terminal = FakeTerminal(clock, [*keys, Key.QUIT])
    watching.follow(view, terminal, every_s, clock)
    return terminal


def test_it_looks_again_every_interval_and_draws_after_every_key() -> None:
    view = Numbers()

    terminal = followed(view, *[Key.NONE] * 5)

    assert [frame[0] for frame in terminal.frames] == ["0.0", "0.0", "1.0", "1.0", "2.0", "2.0"]
    assert view.looks == 2


def test_what_comes_by_itself_is_not_kept_waiting_until_the_next_look() -> None:
    view = Numbers()

    terminal = followed(view, *[Key.NONE] * 5, every_s=60)

    assert (view.looks, view.hears) == (0, 5)
    assert len(terminal.frames) == 6


def test_every_frame_is_as_high_as_the_terminal_and_ends_with_its_keys() -> None:
    terminal = followed(Numbers(count=2), Key.NONE)

    assert terminal.frames == [["0.0", "0.1", "", "", "", "q quits · every 2 s · all is well"]] * 2


def test_the_place_stays_while_what_is_there_changes() -> None:
    terminal = followed(Numbers(), Key.DOWN, Key.PAGE_DOWN, Key.NONE, Key.NONE)

    assert [frame[0] for frame in terminal.frames] == ["0.0", "0.1", "1.5", "1.5", "2.5"]
    assert terminal.frames[2][-1].startswith("q quits · ↑↓ lines 6 to 10 of 20 · ")


MOVES = [
    (0, Key.UP, 0),
    (0, Key.DOWN, 1),
    (15, Key.DOWN, 15),
    (3, Key.UP, 2),
    (3, Key.PAGE_UP, 0),
    (3, Key.PAGE_DOWN, 7),
    (14, Key.PAGE_DOWN, 15),
    (7, Key.HOME, 0),
    (7, Key.END, 15),
    (7, Key.NONE, 7),
]


@pytest.mark.parametrize(("top", "key", "expected"), MOVES)
def test_keys_move_and_never_beyond_the_ends(top: int, key: Key, expected: int) -> None:
    assert watching.moved(top, key, room=5, count=20) == expected


def test_what_fits_does_not_move() -> None:
    assert watching.moved(0, Key.END, room=5, count=3) == 0


def test_a_problem_stands_below_what_was_seen_before_and_goes_with_it() -> None:
    def fails(look: int) -> Exception | None:
        return UnreachableError("away") if look == 1 else None

    terminal = followed(Numbers(2, fails), *[Key.NONE] * 4)

    assert [frame[-1].rpartition("· ")[2] for frame in terminal.frames] == [
        *("all is well", "all is well", "away", "away", "all is well")
    ]


def test_a_broken_ledger_ends_it_for_another_one_to_be_put_in_its_place() -> None:
    with pytest.raises(BrokenLedgerError):
        followed(Numbers(2, lambda _: BrokenLedgerError("it is broken.")), *[Key.NONE] * 4)


def test_a_fault_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        followed(Numbers(2, lambda _: ZeroDivisionError()), *[Key.NONE] * 4)


def test_it_stops_when_it_is_told_to() -> None:
    assert followed(Numbers(), Key.SUSPEND).suspended == 1


TYPED = [
    (b"q", [Key.QUIT]),
    (b"Q", [Key.QUIT]),
    (b"\x04", [Key.QUIT]),
    (b"\x1b[A", [Key.UP]),
    (b"\x1bOB", [Key.DOWN]),
    (b" ", [Key.PAGE_DOWN]),
    (b"\x1b[6~\x1b[6~\x1b[5~G", [Key.PAGE_DOWN, Key.PAGE_DOWN, Key.PAGE_UP, Key.END]),
    (b"jjgq", [Key.DOWN, Key.DOWN, Key.HOME, Key.QUIT]),
    (b"x\x1b[1;5Aq", [Key.QUIT]),
    (b"x", []),
    (b"\x1b", []),
    (b"\x1b[", []),
    (b"", []),
    (b"\xff\xfe\n", []),
]


@pytest.mark.parametrize(("typed", "keys"), TYPED)
def test_keys_are_told_apart(typed: bytes, keys: list[Key]) -> None:
    assert keys_of(typed) == keys


def test_a_report_is_what_its_command_prints_warnings_below() -> None:
    def report() -> None:
        note("telemhq: mind this")
        say("one", "two")
        assert sys.stdout.isatty()
        assert not sys.stderr.isatty()

    view = watching.Report(report)
    view.look()

    assert [line.plain for line in view.lines(80, 24)] == ["one", "two", "telemhq: mind this"]


def test_only_before_there_is_a_view_a_report_speaks_aloud(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = watching.Report(lambda: note("Reading logs …"))

    view.look()
    assert capsys.readouterr().err == "Reading logs …\n"
    view.look()
    assert capsys.readouterr().err == ""


def test_colours_of_a_report_are_kept() -> None:
    view = watching.Report(lambda: sys.stdout.write("\x1b[1mbold\x1b[0m plain\n"))
    view.look()

    (line,) = view.lines(80, 24)
    assert line.plain == "bold plain"
    assert [str(span.style) for span in line.spans] == ["bold"]


def test_a_report_that_fails_leaves_what_was_seen_before() -> None:
    fails = [False, True]

    def report() -> None:
        if fails.pop(0):
            say("half")
            raise UnreachableError("away.")
        say("whole")

    view = watching.Report(report)
    view.look()
    with pytest.raises(UnreachableError):
        view.look()

    assert [line.plain for line in view.lines(80, 24)] == ["whole"]


def test_where_nobody_watches_a_report_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    watching.again(lambda: say("once"), None, at_server=False)

    assert capsys.readouterr().out == "once\n"


@pytest.mark.parametrize(
    ("asked", "at_server", "seconds"), [(None, False, 2), (None, True, 10), (0.5, True, 0.5)]
)
def test_a_server_is_looked_at_less_often(
    asked: float | None, at_server: bool, seconds: float
) -> None:
    assert watching.every_s(asked, at_server=at_server) == seconds


def test_watching_for_long_takes_no_more_memory() -> None:
    def watched(looks: int) -> None:
        view = watching.Report(lambda: say(*(f"line {at}" for at in range(50))))
        view.look()
        clock = Clock()
        terminal = FakeTerminal(clock, [*[Key.NONE] * looks, Key.QUIT])
        watching.follow(view, terminal, 1, clock)
        terminal.frames.clear()

    watched(20)
    gc.collect()
    tracemalloc.start()
    watched(5)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    watched(200)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # What one look prints takes more than 3,000 bytes; rich remembers widths of a few texts.
    assert after - before < 100_000
