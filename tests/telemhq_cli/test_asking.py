"""Asking a server beside a view: now and then, one question at a time, and nobody waits."""

from __future__ import annotations

import threading

from telemhq_agents.errors import TelemhqError, UnreachableError
from telemhq_cli.asking import Asking

PATIENCE_S = 10


class Server:
    """Answers one more than the last answer, once it is let to."""

    def __init__(self) -> None:
        self.lets = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.is_away = False
        self.questions = 0

    def ask(self, before: int) -> int:
        self.questions += 1
        self.asked.release()
        assert self.lets.acquire(timeout=PATIENCE_S)
        if self.is_away:
            raise UnreachableError("it is away.")
        return before + 1


def failed(before: int, error: TelemhqError | OSError) -> int:
    assert "it is away" in str(error)
    return -before


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def settled(asking: Asking[int]) -> None:
    assert asking._thread is not None
    asking._thread.join(PATIENCE_S)
    assert not asking._thread.is_alive()


def test_who_looks_gets_the_last_answer_at_once_and_the_next_one_later() -> None:
    server, clock = Server(), Clock()
    asking = Asking(0, server.ask, failed, 10, clock)

    assert asking.latest() == 0
    assert server.asked.acquire(timeout=PATIENCE_S)
    assert asking.latest() == 0
    server.lets.release()
    settled(asking)

    assert asking.latest() == 1
    assert server.questions == 1


def test_a_server_is_asked_at_most_every_so_often() -> None:
    server, clock = Server(), Clock()
    server.lets.release(9)
    asking = Asking(0, server.ask, failed, 10, clock)

    for seconds in (0.0, 2.0, 9.9, 10.0, 12.0, 20.0):
        clock.now = 100.0 + seconds
        asking.latest()
        settled(asking)

    assert server.questions == 3


def test_a_server_that_takes_long_is_not_asked_twice() -> None:
    server, clock = Server(), Clock()
    asking = Asking(0, server.ask, failed, 10, clock)
    asking.latest()
    clock.now += 60

    assert asking.latest() == 0
    server.lets.release()
    settled(asking)

    assert server.questions == 1


def test_a_server_that_is_away_is_an_answer_too() -> None:
    server, clock = Server(), Clock()
    server.lets.release(2)
    asking = Asking(5, server.ask, failed, 10, clock)
    server.is_away = True

    assert asking.now() == -5
    server.is_away = False
    assert asking.now() == -4


def test_who_waited_for_an_answer_has_it_and_asks_no_second_time() -> None:
    server, clock = Server(), Clock()
    server.lets.release(2)
    asking = Asking(0, server.ask, failed, 10, clock)

    asking.now()

    assert asking.latest() == 1
    assert asking._thread is None
