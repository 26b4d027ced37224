"""A server that is asked beside what is watched: in a thread of its own, and now and then alone."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from telemhq_agents.errors import TelemhqError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Asking(Generic[T]):
    """Asks at most every `every_s` seconds, one question at a time; who looks never waits.

    `ask` gets the last answer and returns the next one; `failed` makes an answer of what kept the
    server from being asked. Only one thread ever asks, so that `ask` may keep what it likes.
    """

    def __init__(
        self,
        first: T,
        ask: Callable[[T], T],
        failed: Callable[[T, TelemhqError | OSError], T],
        every_s: float,
        now_s: Callable[[], float],
    ) -> None:
        self._answer = first
        self._ask, self._failed = ask, failed
        self._every_s, self._now_s = every_s, now_s
        self._due_s = now_s()
        self._thread: Thread | None = None

    def latest(self) -> T:
        """Return the latest answer, and see to it that another one comes when it is due."""
        is_busy = self._thread is not None and self._thread.is_alive()
        if not is_busy and self._now_s() >= self._due_s:
            self._thread = Thread(target=self.now, daemon=True)
            self._thread.start()
        return self._answer

    def now(self) -> T:
        """Ask at once, and wait for the answer."""
        self._due_s = self._now_s() + self._every_s
        try:
            self._answer = self._ask(self._answer)
        except (TelemhqError, OSError) as error:
            self._answer = self._failed(self._answer, error)
        return self._answer
