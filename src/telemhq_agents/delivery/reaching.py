"""Whether a server is there and takes one's key, how long it takes, and what its clock says."""

from __future__ import annotations

from concurrent.futures import Future
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents import clock
from telemhq_agents.delivery.client import ApiClient
from telemhq_agents.errors import UnreachableError

if TYPE_CHECKING:
    import httpx

    from telemhq_agents.credentials import Login


class Reached(NamedTuple):
    """How a server answered.

    `ahead_ms` is how far its clock is ahead of ours, to a second, None where it does not tell.
    """

    took_ms: int
    ahead_ms: int | None


class _Timed(ApiClient):
    """A client that remembers the last answer's date, and when it came."""

    date: str = ""
    came_ms: int = 0

    def __init__(self, url: str, api_key: str, **more: Any) -> None:  # noqa: ANN401 - as its parent
        super().__init__(url, api_key, **more)
        self._http.event_hooks = {"response": [self._note]}

    def _note(self, response: httpx.Response) -> None:
        self.date = response.headers.get("date", "")
        self.came_ms = clock.now_ms()


def reach(login: Login, *, timeout_s: float) -> Reached:
    """Ask a server who one is there.

    Raises UnreachableError where nobody answers in time, RefusedError where the key is not taken.
    """
    answer: Future[Reached] = Future()

    def ask() -> None:
        try:
            answer.set_result(_reach(login, timeout_s))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            answer.set_exception(error)

    # The client's limit holds for each part of an answer: one that trickles would never end.
    Thread(target=ask, daemon=True).start()
    try:
        return answer.result(timeout_s)
    except TimeoutError:
        message = f"{login.url} gave no whole answer within {timeout_s:g} seconds."
        raise UnreachableError(
            message, "Check the address and the network, then try again."
        ) from None


def _reach(login: Login, timeout_s: float) -> Reached:
    with _Timed(login.url, login.api_key, timeout_s=timeout_s) as client:
        began_ns = clock.monotonic_ns()
        client.me()
        took_ms = (clock.monotonic_ns() - began_ns) // 1_000_000
        return Reached(took_ms, _ahead_ms(client.date, client.came_ms))


def _ahead_ms(date: str, now_ms: int) -> int | None:
    """Return how far an HTTP date is ahead of `now_ms`; a date holds for the whole of its second."""
    try:
        told_ms = int(parsedate_to_datetime(date).timestamp()) * 1000
    except ValueError:
        return None
    if told_ms <= now_ms < told_ms + 1000:
        return 0
    return told_ms - now_ms if told_ms > now_ms else told_ms + 999 - now_ms
