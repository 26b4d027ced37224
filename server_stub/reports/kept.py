"""Answers kept for a few seconds, so that many who ask the same at once cost one look."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from telemhq_agents import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

MOST_KEPT = 50
NS = 1_000_000_000


class Kept(Generic[T]):
    """Up to `most` answers by question, each good for so many seconds; the oldest gives way."""

    def __init__(
        self,
        seconds: float,
        now_ns: Callable[[], int] = clock.monotonic_ns,
        *,
        most: int = MOST_KEPT,
    ) -> None:
        self._life_ns = int(seconds * NS)
        self._most = most
        self._lock = threading.Lock()
        self._now_ns = now_ns
        self._answers: dict[Hashable, tuple[int, T]] = {}

    def get(self, question: Hashable, make: Callable[[], T]) -> T:
        """Return the answer to a question, made anew where there is none that is still good.

        Two who ask at the same moment may both make it: it is the same.
        """
        known = self._answers.get(question)
        now_ns = self._now_ns()
        if known is not None and now_ns - known[0] < self._life_ns:
            return known[1]
        answer = make()
        with self._lock:
            self._answers.pop(question, None)
            self._answers[question] = (now_ns, answer)
            while len(self._answers) > self._most:
                del self._answers[next(iter(self._answers))]
        return answer
