"""What is looked at again and again: `telemhq top`, and `usage --watch` over any report."""

from __future__ import annotations

import gc
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Protocol, TextIO

import typer

from telemhq_agents import clock
from telemhq_agents.errors import BrokenLedgerError, TelemhqError
from telemhq_cli.render import screen
from telemhq_cli.render.words import in_ascii

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.text import Text

    from telemhq_cli.render.live import Key

LEAST_S, MOST_S = 0.5, 3600
LOCAL_S, SERVER_S = 2.0, 10.0
"""How often this machine is looked at, and how often a server, in seconds."""

Interval = Annotated[
    float | None,
    typer.Option(
        "--interval",
        metavar="SECONDS",
        min=LEAST_S,
        max=MOST_S,
        help="How often to look: 2 for this machine, 10 for a server.",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="Stay, and draw it again and again; q quits.")]


def every_s(asked: float | None, *, at_server: bool) -> float:
    """Return how often to look: as asked, else as often as is usual."""
    usual = SERVER_S if at_server else LOCAL_S
    return usual if asked is None else asked


class View(Protocol):
    """What is watched."""

    @property
    def said(self) -> str:
        """What the last line tells beside the keys."""

    def look(self) -> None:
        """Look again. TelemhqError and OSError leave standing what was seen before."""

    def hear(self) -> None:
        """Take what came by itself meanwhile, such as a server's answer; costs next to nothing."""

    def lines(self, width: int, height: int) -> list[Text]:
        """Return all there is to see, `width` wide; what fits `height` stands still."""


class Terminal(Protocol):
    """The terminal that is drawn on (`render.live.Lent`)."""

    @property
    def size(self) -> tuple[int, int]:
        """How many columns and lines there are by now."""

    def draw(self, lines: list[Text]) -> None:
        """Draw a frame over the last one."""

    def wait(self, seconds: float) -> Key:
        """Wait for a key, for so many seconds at most."""

    def suspend(self) -> None:
        """Stop this program until somebody lets it go on."""


def follow(view: View, terminal: Terminal, interval_s: float, now_s: Callable[[], float]) -> None:
    """Draw a view that has looked once, and look again every `interval_s`, until somebody quits.

    What it hears between two looks is drawn every two seconds. Where the eye is stays where it is: the frame moves by keys alone.
    """
    from telemhq_cli.render.live import Key  # noqa: PLC0415 - rich: 60 ms

    top, problem, due_s = 0, "", now_s() + interval_s
    while True:
        width, height = terminal.size
        room = max(height - 1, 1)
        lines = view.lines(width, room)
        top = max(min(top, len(lines) - room), 0)
        told = footer(problem or view.said, (top, room, len(lines)), interval_s)
        terminal.draw([*_filled(lines[top : top + room], room), _last(told, width, problem)])
        key = terminal.wait(min(due_s - now_s(), LOCAL_S))
        if key is Key.QUIT:
            return
        if key is Key.SUSPEND:
            terminal.suspend()
        top = moved(top, key, room, len(lines))
        if now_s() >= due_s:
            problem = _looked(view)
            due_s = now_s() + interval_s
        view.hear()


def moved(top: int, key: Key, room: int, count: int) -> int:
    """Return the first line that is shown after a key, of `count` where `room` fit. Pure."""
    from telemhq_cli.render.live import Key  # noqa: PLC0415 - rich: 60 ms

    last = max(count - room, 0)
    steps = {Key.UP: -1, Key.DOWN: 1, Key.PAGE_UP: 1 - room, Key.PAGE_DOWN: room - 1}
    places = {Key.HOME: 0, Key.END: last}
    return max(min(places.get(key, top + steps.get(key, 0)), last), 0)


def show(view: View, interval_s: float) -> None:
    """Show a view that has looked once on a terminal of its own, until somebody quits."""
    from telemhq_cli.render import live  # noqa: PLC0415 - rich: 60 ms

    gc.enable()  # a report in a hurry leaves its garbage to the end: this goes on
    with live.lent() as terminal:
        follow(view, terminal, interval_s, seconds)


def seconds() -> float:
    """Return seconds on a clock that nobody sets."""
    return clock.monotonic_ns() / 1e9


def again(report: Callable[[], object], interval: float | None, *, at_server: bool) -> None:
    """Draw a report in place, again and again; once where nobody watches.

    `report` is the command without `--watch`: it prints, as ever, and its warnings stand below.
    """
    from telemhq_cli.render import live  # noqa: PLC0415 - rich: 60 ms

    if not live.is_possible():
        report()
        return
    view = Report(report)
    view.look()
    show(view, every_s(interval, at_server=at_server))


class Report:
    """A command's own output as a view."""

    def __init__(self, report: Callable[[], object]) -> None:
        self.said = ""
        self._report = report
        self._text = ""
        self._width = 0

    def look(self) -> None:
        """Run the command and keep what it printed; the first time it may ask for patience."""
        out, err = _Paper(), _Margin(None if self._width else sys.stderr)
        with redirect_stdout(out), redirect_stderr(err):
            self._report()
        self._text = f"{out.getvalue()}{err.getvalue()}".rstrip("\n")
        self.said = clock_in_words()
        self._width = screen.width()

    def hear(self) -> None:
        """Nothing comes by itself: a report is made when it is looked at."""

    def lines(self, width: int, height: int) -> list[Text]:
        """Return what was printed, line by line; printed again where the window is another one."""
        del height
        from rich.ansi import AnsiDecoder  # noqa: PLC0415 - rich: 60 ms

        if not screen.width_was_asked() and self._width not in {0, max(width, screen.NARROWEST)}:
            _looked(self)
        return list(AnsiDecoder().decode(self._text))


class _Paper(io.StringIO):
    """What a command prints on while it is watched: as good as the terminal that it ends up on."""

    encoding = property(lambda _: getattr(sys.__stdout__, "encoding", None))

    def isatty(self) -> bool:
        return True


class _Margin(io.StringIO):
    """What a command says beside its report; `aloud` is where it is told at once, too."""

    def __init__(self, aloud: TextIO | None) -> None:
        super().__init__()
        self._aloud = aloud

    def write(self, text: str) -> int:
        if self._aloud is not None:
            self._aloud.write(text)
        return super().write(text)

    def flush(self) -> None:
        if self._aloud is not None:
            self._aloud.flush()


def clock_in_words() -> str:
    """Return the time of day on this machine's clock."""
    from telemhq_agents.ledger.report import moment_of  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.commands import period  # noqa: PLC0415 - same

    return f"{moment_of(clock.now_ms(), period.zone_in_use(None)):%H:%M:%S}"


def _looked(view: View) -> str:
    """Let a view look again; return what kept it from it, "" where nothing did."""
    try:
        view.look()
    except BrokenLedgerError:
        raise  # the command is begun anew, on another ledger
    except TelemhqError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    return ""


def footer(said: str, place: tuple[int, int, int], interval_s: float) -> str:
    """Return the last line: keys, which lines of how many are shown, and what is said. Pure."""
    top, room, count = place
    lines = f"↑↓ lines {top + 1} to {min(top + room, count)} of {count}" if count > room else ""
    return " · ".join(filter(None, ["q quits", lines, f"every {interval_s:g} s", said]))


def _last(text: str, width: int, problem: str) -> Text:
    from rich.text import Text  # noqa: PLC0415 - rich: 60 ms

    found = Text(in_ascii(text) if screen.is_ascii() else text, "yellow" if problem else "dim")
    found.truncate(width)
    return found


def _filled(lines: Sequence[Text], room: int) -> list[Text]:
    from rich.text import Text  # noqa: PLC0415 - rich: 60 ms

    return [*lines, *(Text() for _ in range(room - len(lines)))]
