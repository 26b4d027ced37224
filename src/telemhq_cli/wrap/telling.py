"""From a run to the server: on disk first, then sent, then said where it did not arrive."""

from __future__ import annotations

import _thread
import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents import clock, locations, spool
from telemhq_agents.delivery import quick
from telemhq_agents.errors import DamagedError, TelemhqError, UsageError
from telemhq_cli.render.voice import note, say
from telemhq_cli.wrap import child, payload, trackers

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_agents.spool import Claimed
    from telemhq_cli.wrap.child import Ended
    from telemhq_cli.wrap.command_line import Asked

RECORDED, KEPT, REFUSED, LOST = "recorded", "kept", "refused", "lost"
EXIT_CODES = {RECORDED: 0, KEPT: 0, REFUSED: 5, LOST: 6}
TOOK_NOTHING = frozenset({0, 408, 425, 429, 503})
"""Statuses (0: no answer) after which a ping that never left may be sent to anybody again."""
LEFTOVERS_BUDGET_S = 5.0
LEFTOVERS = frozenset({"ping"})
"""Hooks' entries are for the agent, or the drain that they wake."""


class Ping(NamedTuple):
    """A ping that is about to be told. `url` is "" while nobody knows where the tracker is."""

    key: str
    url: str
    tracker: str
    profile: str
    body: bytes


class Told(NamedTuple):
    """What became of a ping, and one line about it for people ("" when all is well)."""

    outcome: str
    message: str = ""
    next_step: str = ""


class Patience:
    """How long a sending may take altogether, a name look-up that hangs included.

    Timeouts bound each wait but not the resolver, and no signal reaches us inside it. When
    patience ends, so does the process, with `code`: the ping is on disk.
    """

    def __init__(self, asked: Asked, code: int) -> None:
        self.timeout_s = asked.timeout_s
        self._quiet = asked.has("--quiet")
        self._code = code
        self._over = _thread.allocate_lock()

    def __enter__(self) -> None:
        self._over.acquire()
        with suppress(RuntimeError):  # no thread to be had: then it takes what it takes
            _thread.start_new_thread(self._wait, ())

    def __exit__(self, *_: object) -> None:
        self._over.release()

    def _wait(self) -> None:
        if self._over.acquire(timeout=2 * self.timeout_s + 1):
            return
        if not self._quiet:
            note("telemhq: the network does not answer; the ping goes out later")
        os._exit(self._code)


def tell(asked: Asked, key: str) -> int:
    """Send one ping without a job and return the exit code. Raises what is wrong with it."""
    said = payload.merged(_file_payload(asked), payload.flag_fields(asked))
    body = payload.encoded({"ended_at": clock.to_iso(clock.now_ms())} | said)
    told = _record(_addressed(asked, key, body), Patience(asked, 0))
    _say(asked, told, {"outcome": told.outcome, "key": key})
    return EXIT_CODES[told.outcome]


def tell_of(asked: Asked, key: str, ended: Ended, last_line: bytes) -> None:
    """Send the ping of a job that has ended. From the moment it is on disk a signal ends us."""
    problems: list[str] = []
    said: dict[str, Any] = {}
    for part in (
        _file_payload,
        lambda _: payload.json_object(last_line) or {},
        payload.flag_fields,
    ):
        try:
            said = payload.merged(said, part(asked))
        except UsageError as error:
            problems.append(error.message)
    name = child.signal_name(ended.signal) if ended.signal else ""
    body = payload.encoded(payload.of_job(said, ended, name))
    told = _record(
        _addressed(asked, key, body),
        Patience(asked, ended.code),
        lambda: child.release(lambda: os._exit(ended.code)),
    )
    if problems:
        told = told._replace(message="; ".join([*problems, *filter(None, [told.message])]))
    _say(asked, told, {"outcome": told.outcome, "key": key, "exit_code": ended.code}, job=True)


def _file_payload(asked: Asked) -> dict[str, Any]:
    name = asked.values.get("--payload")
    if name is None:
        return {}
    try:
        if name == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:  # noqa: PTH123 - a Path says nothing more here
                data = file.read()
    except OSError as error:
        raise UsageError(f"The payload {name} cannot be read: {error.strerror}.") from error
    found = payload.json_object(data)
    if found is None:
        raise UsageError(f"The payload {name} is not one JSON object.")
    return found


def _addressed(asked: Asked, key: str, body: bytes) -> Ping:
    """Find out where the ping goes. Raises UsageError and NotLoggedInError for unknown trackers."""
    profile = trackers.profile_in_use(asked.values.get("--profile"))
    url = trackers.ping_url(asked.target, profile)
    return Ping(key, url, asked.target, profile, body)


def _record(
    ping: Ping, patience: Patience, when_on_disk: Callable[[], None] = lambda: None
) -> Told:
    home = locations.ours().spool
    entry = {
        "kind": "ping",
        "key": ping.key,
        "url": ping.url,
        "destination": ping.url,
        "tracker": ping.tracker,
        "profile": ping.profile,
        "body": ping.body.decode(),
        "created_ms": clock.now_ms(),
    }
    try:
        # Held by us until we know: if we die while it is on its way, it may have arrived.
        kept = spool.write_claimed(home, {**entry, "may_have_arrived": True})
    except (DamagedError, OSError) as error:
        when_on_disk()
        return _send_unkept(ping, patience.timeout_s, error)
    when_on_disk()
    try:
        return _send_kept(ping, kept, entry, patience)
    finally:
        spool.leave(home)


def _send_kept(ping: Ping, kept: Claimed, entry: dict[str, Any], patience: Patience) -> Told:
    home = locations.ours().spool
    if not ping.url:
        spool.write(home, entry)
        spool.done(kept)
        return Told(
            KEPT, f"the server does not answer; the ping to {ping.tracker!r} goes out later"
        )
    if not quick.is_direct(ping.url):
        spool.write(home, entry)
        spool.done(kept)
        return _send_in_full(ping, patience.timeout_s)
    with patience:
        answer = quick.send(ping.url, ping.key, ping.body, timeout_s=patience.timeout_s)
    match answer.outcome:
        case quick.Outcome.DELIVERED | quick.Outcome.DUPLICATE:
            spool.done(kept)
            _send_leftovers(home)
            return Told(RECORDED)
        case quick.Outcome.REFUSED:
            reason = _reason(answer)
            _park(ping, reason)
            spool.done(kept)
            return Told(
                REFUSED, f"{_host(ping.url)} refuses the ping: {reason}", "telemhq agent outbox"
            )
        case quick.Outcome.LATER:
            if answer.sent and answer.status not in TOOK_NOTHING - {0}:
                spool.put_back(home, kept)
            else:
                spool.write(home, entry)
                spool.done(kept)
            return Told(KEPT, f"{_host(ping.url)}: {_reason(answer)}; the ping goes out later")


def _send_in_full(ping: Ping, timeout_s: float) -> Told:
    """Send what lies behind a proxy with the full client, through the outbox."""
    from telemhq_agents.ledger.records import OutboxState  # noqa: PLC0415 - SQLite
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - same
    from telemhq_cli import agent  # noqa: PLC0415 - httpx

    agent.send_pings(budget_s=timeout_s)
    with Ledger.open(locations.ours().ledger) as ledger:
        left = next((row for row in ledger.outbox() if row.key == ping.key), None)
    if left is None:
        return Told(RECORDED)
    if left.state is OutboxState.PENDING:
        return Told(KEPT, f"{_host(ping.url)}: {left.last_error}; the ping goes out later")
    message = f"{_host(ping.url)}: {left.last_error}"
    return Told(REFUSED, message, "telemhq agent outbox")


def _send_unkept(ping: Ping, timeout_s: float, error: Exception) -> Told:
    reason = getattr(error, "message", str(error)).rstrip(".")
    if not ping.url:
        return Told(LOST, f"the ping is lost: {reason}, and the server does not answer")
    answer = quick.send(ping.url, ping.key, ping.body, timeout_s=timeout_s)
    if answer.outcome in {quick.Outcome.DELIVERED, quick.Outcome.DUPLICATE}:
        return Told(RECORDED, f"the ping was sent, but could not be kept: {reason}")
    outcome = REFUSED if answer.outcome is quick.Outcome.REFUSED else LOST
    return Told(outcome, f"the ping is lost: {reason}; {_host(ping.url)}: {_reason(answer)}")


def _park(ping: Ping, reason: str) -> None:
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - SQLite, for a refused ping only

    with Ledger.open(locations.ours().ledger) as ledger:
        ledger.enqueue(ping.url, ping.key, ping.body, clock.now_ms())
        for row in ledger.outbox():
            if (row.destination, row.key) == (ping.url, ping.key):
                ledger.park(row, reason)


def _send_leftovers(home: Any) -> None:  # noqa: ANN401 - a Path, whose import is the spool's
    """Send what earlier pings left behind, now that the server answers."""
    if not spool.pending_count(home, LEFTOVERS):
        return
    from telemhq_cli import agent  # noqa: PLC0415 - httpx and SQLite, where something is left

    try:
        agent.send_pings(budget_s=LEFTOVERS_BUDGET_S)
    except TelemhqError:
        return  # our own ping is through; whoever comes next tries again


def _reason(answer: quick.Answer) -> str:
    """Return what the server's problem says, or why there is no answer, in one line."""
    try:
        problem = json.loads(answer.detail)
        words = [problem[name] for name in ("title", "detail", "next") if problem.get(name)]
        text = "; ".join(map(str, words)) or answer.detail
    except (ValueError, TypeError, AttributeError):
        text = answer.detail
    return f"{answer.status}: {text}" if answer.status else text


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _say(asked: Asked, told: Told, document: dict[str, Any], *, job: bool = False) -> None:
    if asked.has("--json"):
        more = {"message": told.message} if told.message else {}
        text = json.dumps(document | more, ensure_ascii=False)
        (note if job else say)(text)
    elif told.message and not asked.has("--quiet"):
        note(f"telemhq: {told.message}" + (f" ({told.next_step})" if told.next_step else ""))
