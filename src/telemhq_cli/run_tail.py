"""New runs of a tracker as they arrive: each once, in the order of arrival."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.errors import NoSuchRouteError, RefusedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from telemhq_agents.contract.resources import Run, RunPage

    Pages = Callable[[int, str | None], RunPage]

PAGE = 100
MOST_REMEMBERED = 10_000
LONGEST_WAIT_S = 60.0
_TOO_MANY_REQUESTS, _SERVERS_FAULT = 429, 500


class RunTail:
    """The end of a tracker's list of runs.

    `pages` returns so many runs, newest first, from a cursor on; it raises what the server's door
    raises, and may be asked again then.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._seen: dict[int, None] = {}
        self._floor = 0

    def begin(self) -> None:
        """Take what is there as known."""
        page = self._pages(PAGE, None)
        self.know(page.runs)
        if page.next_cursor is not None:
            self._floor = min(int(run.id) for run in page.runs)

    def know(self, runs: Sequence[Run]) -> None:
        """Take these runs as known: they are new no more."""
        self._seen |= dict.fromkeys(int(run.id) for run in runs)
        if len(self._seen) > MOST_REMEMBERED:
            kept = sorted(self._seen)[-MOST_REMEMBERED // 2 :]
            self._floor = max(self._floor, kept[0] - 1)
            self._seen = dict.fromkeys(kept)

    def new(self) -> list[Run]:
        """Return the runs that arrived since, oldest first.

        Several processes of a server may give out ids in another order than they store runs: what
        is new is what was not seen, not what is greater than the last one.
        """
        found: list[Run] = []
        cursor = None
        while True:
            page = self._pages(PAGE, cursor)
            fresh = [run for run in page.runs if self._is_new(run)]
            found += fresh
            if len(fresh) < len(page.runs) or page.next_cursor is None:
                break
            cursor = page.next_cursor
        self.know(found)
        return found[::-1]

    def _is_new(self, run: Run) -> bool:
        return int(run.id) > self._floor and int(run.id) not in self._seen


def follow(
    tail: RunTail,
    show: Callable[[Run], None],
    tell: Callable[[str], None],
    wait: Callable[[float], object],
    every_s: float,
) -> None:
    """Show each new run, for ever: ask every so many seconds, less often while nobody answers.

    That the server is away is told once, and that it is back. Raises what waiting does not mend.
    """
    pause, is_away = every_s, False
    while True:
        wait(pause)
        try:
            fresh = tail.new()
        except (UnreachableError, RefusedError) as error:
            if not _passes(error):
                raise
            if not is_away:
                tell(f"{error.message} Asking again until it answers.")
            pause, is_away = min(pause * 2, max(LONGEST_WAIT_S, every_s)), True
            continue
        if is_away:
            tell("The server answers again.")
        pause, is_away = every_s, False
        for run in fresh:
            show(run)


def _passes(error: UnreachableError | RefusedError) -> bool:
    """Tell whether asking later may help."""
    if isinstance(error, UnreachableError):
        return not isinstance(error, NoSuchRouteError)
    return error.status == _TOO_MANY_REQUESTS or error.status >= _SERVERS_FAULT
