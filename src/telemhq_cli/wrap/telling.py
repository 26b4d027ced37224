"""From a run to the server: on disk first, then sent, then said where it did not arrive."""

from __future__ import annotations

import _thread
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents import clock, locations, spool
from telemhq_agents.delivery import quick
from telemhq_agents.errors import (
    BrokenLedgerError,
    DamagedError,
    NotLoggedInError,
    RefusedError,
    SettingsError,
    TelemhqError,
    UnreachableError,
    UsageError,
)
from telemhq_cli.render.voice import note, say
from telemhq_cli.wrap import child, leftovers, payload, trackers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from telemhq_agents.spool import Claimed
    from telemhq_cli.wrap.child import Ended
    from telemhq_cli.wrap.command_line import Asked
    from telemhq_cli.wrap.ping import Course

RECORDED, KEPT, REFUSED, LOST = "recorded", "kept", "refused", "lost"
WITHHELD = "withheld"
EXIT_CODES = {RECORDED: 0, KEPT: 0, REFUSED: 5, LOST: 6}
KINDS = {REFUSED: RefusedError.kind, LOST: UnreachableError.kind}
"""What a program is told of the outcomes that are failures, where the ping was all there was to do."""
TOOK_NOTHING = frozenset({0, 402, 408, 425, 429, 503})
"""Statuses (0: no answer) after which a ping that never left may be sent to anybody again."""
GONE = frozenset({404, 410})
"""Statuses by which a server says that no tracker is at this URL (any more)."""
OUTBOX = "telemhq agent outbox"
MARGIN_S = 0.5
"""What an orderly end may take beyond the timeout."""


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
    """How long everything after the job may take altogether: a look-up, a resolver, a ledger.

    Timeouts bound single waits, and no signal reaches us inside some of them. When patience ends,
    `leave` is called with what is known by then, and must end the process: the ping is on disk.
    """

    def __init__(self, timeout_s: float, leave: Callable[[Told], None]) -> None:
        self.told = Told(KEPT, "the network does not answer; the ping goes out later")
        self._timeout_s = timeout_s
        self._until_ns = 0
        self._leave = leave
        self._over = _thread.allocate_lock()

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return (self._until_ns - clock.monotonic_ns()) / 1e9

    def __enter__(self) -> None:
        self._until_ns = clock.monotonic_ns() + int(self._timeout_s * 1e9)
        self._over.acquire()
        with suppress(RuntimeError):  # no thread to be had: then it takes what it takes
            _thread.start_new_thread(self._wait, ())

    def __exit__(self, *_: object) -> None:
        self._over.release()

    def _wait(self) -> None:
        if not self._over.acquire(timeout=self._timeout_s + MARGIN_S):
            self._leave(self.told)


def tell(asked: Asked, key: str) -> int:
    """Send one ping without a job and return the exit code. Raises what is wrong with it."""
    said = payload.merged(_file_payload(asked), payload.flag_fields(asked))
    body = payload.encoded({"ended_at": clock.to_iso(clock.now_ms())} | said)

    def close(told: Told) -> int:
        say_what_became(asked, told, {"outcome": told.outcome, "key": key})
        return EXIT_CODES[told.outcome]

    patience = Patience(asked.timeout_s, lambda told: os._exit(close(told)))
    return close(record(addressed(asked, key, body), patience))


def tell_of(
    asked: Asked, ended: Ended, course: Course, leave: Callable[[Course, int], None]
) -> None:
    """Send the ping of a job that has ended. From the moment it is on disk a signal ends us.

    `leave` ends the process with a code, once nothing of the job's output is on its way any more.
    """
    said, problems = _said_of(asked, course)
    name = child.signal_name(ended.signal) if ended.signal else ""
    told = payload.of_job(said, ended, name)

    def close(told: Told) -> int:
        message = "; ".join(filter(None, [*problems, told.message])).replace(".; ", "; ")
        document = {"outcome": told.outcome, "key": course.key, "exit_code": ended.code}
        say_what_became(asked, told._replace(message=message), document, job=True)
        return ended.code

    if asked.has("--on-success-only") and payload.is_failure(told, ended):
        close(Told(WITHHELD))
        return
    patience = Patience(asked.timeout_s, lambda told: leave(course, close(told)))
    try:
        ping = addressed(asked, course.key, b"")
    except SettingsError:  # the ping is kept until they can be read, which `record` will say
        ping = Ping(course.key, "", asked.target, asked.values.get("--profile", ""), b"")
    ping = ping._replace(body=_fitted(told, ping.url, course))

    close(
        record(
            *(ping, patience, lambda: child.release(lambda: os._exit(ended.code))),
            before_sending=lambda: course.settle(asked.timeout_s / 2),
        )
    )


def _said_of(asked: Asked, course: Course) -> tuple[dict[str, Any], list[str]]:
    """Return what the user and the job say of the run, and what is wrong with that."""
    problems: list[str] = []
    said: dict[str, Any] = {}
    last_line = course.listener.last_line if course.listener else b""
    for part in (
        _file_payload,
        lambda _: payload.json_object(last_line) or {},
        payload.flag_fields,
    ):
        try:
            said = payload.merged(said, part(asked))
        except UsageError as error:
            problems.append(error.message)
    return said, problems


def _fitted(told: dict[str, Any], url: str, course: Course) -> bytes:
    """Write the body, with as much of the output's end as the server takes, so far as it told."""
    tail = course.listener.tail if course.listener else ""
    if not tail:
        return payload.encoded(told)
    from telemhq_cli.wrap import abilities  # noqa: PLC0415 - what a server takes matters here alone

    known = abilities.remembered(url)
    return payload.with_tail(told, tail, known.max_body_bytes if known else 0)


def _file_payload(asked: Asked) -> dict[str, Any]:
    name = asked.values.get("--payload")
    if name is None:
        return {}
    try:
        if name == "-":
            data = b"" if sys.stdin is None else sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:  # noqa: PTH123 - a Path says nothing more here
                data = file.read()
    except OSError as error:
        said = f"The payload {name} cannot be read: {error.strerror}."
        raise UsageError(said, payload.HELP) from error
    found = payload.json_object(data)
    if found is None:
        raise UsageError(f"The payload {name} is not one JSON object.", payload.HELP)
    return found


def addressed(asked: Asked, key: str, body: bytes) -> Ping:
    """Find out where the ping goes, as far as this machine knows.

    Raises UsageError for a URL that is none, SettingsError for a file of ours that cannot be read.
    """
    profile = trackers.profile_in_use(asked.target, asked.values.get("--profile"))
    url = trackers.known_url(asked.target, profile)
    return Ping(key, url, asked.target, profile, body)


def _entry(ping: Ping, *, may_have_arrived: bool) -> dict[str, Any]:
    mark = {"may_have_arrived": True} if may_have_arrived else {}
    return {
        "kind": "ping",
        "key": ping.key,
        "url": ping.url,
        "destination": ping.url,
        "tracker": ping.tracker,
        "profile": ping.profile,
        "body": ping.body.decode(),
        "created_ms": clock.now_ms(),
        **mark,
    }


def record(
    ping: Ping,
    patience: Patience,
    when_on_disk: Callable[[], None] = lambda: None,
    before_sending: Callable[[], None] = lambda: None,
) -> Told:
    """Put the ping on disk and send it. Raises what the server knows to be wrong with its name."""
    home = locations.ours().spool
    try:
        kept = _keep(home, ping)
    except (DamagedError, OSError) as error:
        when_on_disk()
        patience.told = Told(LOST, "the ping is lost: neither the disk nor the network takes it")
        with patience:
            before_sending()
            return _send_unkept(ping, patience, error)
    when_on_disk()
    try:
        with patience:
            before_sending()
            return _send_kept(ping, kept, patience)
    except DamagedError as error:  # a disk that filled up meanwhile: what is there stays there
        return Told(KEPT, f"{error.message} The ping goes out later", error.next_step)
    finally:
        spool.leave(home)


def _keep(home: Path, ping: Ping) -> Claimed:
    """Put the ping on disk, held by us; if we die while it is on its way, it may have arrived."""
    return spool.write_claimed(home, _entry(ping, may_have_arrived=bool(ping.url)))


def _send_kept(ping: Ping, kept: Claimed, patience: Patience) -> Told:
    home = locations.ours().spool
    if ping.url:
        return _send_addressed(home, ping, kept, patience)
    try:
        url = trackers.ping_url(ping.tracker, ping.profile)
    except (UsageError, NotLoggedInError):
        spool.done(kept)
        raise
    except TelemhqError as error:
        spool.put_back(home, kept)
        return Told(KEPT, f"{error.message} The ping goes out later", error.next_step)
    if not url:
        spool.put_back(home, kept)
        return Told(
            KEPT, f"the server does not answer; the ping to {ping.tracker!r} goes out later"
        )
    ping = ping._replace(url=url)
    unaddressed, kept = kept, _keep(home, ping)
    spool.done(unaddressed)
    return _send_addressed(home, ping, kept, patience)


def _send_addressed(home: Path, ping: Ping, kept: Claimed, patience: Patience) -> Told:
    patience.told = _in_doubt("the network does not answer", None)
    answer = _send(ping, patience.left_s)
    match answer.outcome:
        case quick.Outcome.DELIVERED | quick.Outcome.DUPLICATE:
            spool.done(kept)
            leftovers.send(home)
            return Told(RECORDED)
        case quick.Outcome.REFUSED:
            return _refused(home, ping, kept, patience, answer)
        case quick.Outcome.LATER:
            reason = f"{_host(ping.url)}: {_reason(answer)}"
            if answer.sent and answer.status not in TOOK_NOTHING - {0}:
                spool.put_back(home, kept)
                patience.told = _in_doubt(reason, None)
                return _in_doubt(reason, _counts_once(ping.url, patience.left_s))
            spool.write(home, _entry(ping, may_have_arrived=False))
            spool.done(kept)
            return Told(KEPT, f"{reason}; the ping goes out later")


def _refused(
    home: Path, ping: Ping, kept: Claimed, patience: Patience, answer: quick.Answer
) -> Told:
    """Send a refused ping where its tracker is now, else park it."""
    message = f"{_host(ping.url)} refuses the ping: {_reason(answer)}"
    patience.told = Told(REFUSED, message, OUTBOX)
    try:
        url = _place_now(ping, answer)
    except TelemhqError as error:
        url = ""
        patience.told = Told(REFUSED, f"{message}. {error.message}", error.next_step or OUTBOX)
    if url not in {"", ping.url}:
        # Under its URL it has no name any more: whoever refuses it there is not asked again.
        moved = ping._replace(url=url, tracker=url)
        refused, kept = kept, _keep(home, moved)
        spool.done(refused)
        return _send_addressed(home, moved, kept, patience)
    _park(ping, _reason(answer))
    spool.done(kept)
    return patience.told


def _place_now(ping: Ping, answer: quick.Answer) -> str:
    if answer.status not in GONE or trackers.is_url(ping.tracker):
        return ""
    return trackers.asked_again(ping.tracker, ping.profile, ping.url)


def _counts_once(url: str, left_s: float) -> bool | None:
    """Tell whether a server counts a ping once, however often it is sent; None: nobody knows."""
    from telemhq_agents.delivery.client import PingSender  # noqa: PLC0415 - httpx, in trouble alone
    from telemhq_cli.wrap import abilities  # noqa: PLC0415 - same

    known = abilities.remembered(url)
    if known is None and left_s > 0:
        with PingSender(timeout_s=left_s) as sender:
            known = abilities.told_by(url, sender)
    return None if known is None else known.idempotency


def _in_doubt(reason: str, counts_once: bool | None) -> Told:
    """Say what becomes of a ping whose answer was lost, as the outbox will decide."""
    if counts_once:
        return Told(KEPT, f"{reason}; the ping goes out later")
    if counts_once is None:
        what = "the ping may have arrived; it goes out later if the server counts it once"
    else:
        what = "the ping may have arrived and is not sent again"
    return Told(KEPT, f"{reason}; {what}", OUTBOX)


def _send(ping: Ping, timeout_s: float) -> quick.Answer:
    if quick.is_direct(ping.url):
        return quick.send(ping.url, ping.key, ping.body, timeout_s=timeout_s)
    from telemhq_agents.delivery.client import send_now  # noqa: PLC0415 - httpx, for proxies alone

    return send_now(ping.url, ping.key, ping.body, timeout_s=timeout_s)


def _send_unkept(ping: Ping, patience: Patience, error: Exception) -> Told:
    reason = getattr(error, "message", str(error)).rstrip(".")
    url = ping.url or trackers.ping_url(ping.tracker, ping.profile)
    if not url:
        return Told(LOST, f"the ping is lost: {reason}, and the server does not answer")
    answer = _send(ping._replace(url=url), patience.left_s)
    if answer.outcome in {quick.Outcome.DELIVERED, quick.Outcome.DUPLICATE}:
        return Told(RECORDED, f"the ping was sent, but could not be kept: {reason}")
    outcome = REFUSED if answer.outcome is quick.Outcome.REFUSED else LOST
    return Told(outcome, f"the ping is lost: {reason}; {_host(url)}: {_reason(answer)}")


def _park(ping: Ping, reason: str) -> None:
    """Keep a refused ping in the outbox; a ledger that is damaged is replaced first."""
    try:
        _put_into_outbox(ping, reason)
    except BrokenLedgerError:
        from telemhq_cli.mending import mend  # noqa: PLC0415 - hardly ever needed

        mend(locations.ours())
        _put_into_outbox(ping, reason)


def _put_into_outbox(ping: Ping, reason: str) -> None:
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - SQLite, for a refused ping only

    with Ledger.open(locations.ours().ledger) as ledger:
        ledger.enqueue(ping.url, ping.key, ping.body, clock.now_ms())
        for row in ledger.outbox():
            if (row.destination, row.key) == (ping.url, ping.key):
                ledger.park(row, reason)


def _reason(answer: quick.Answer) -> str:
    return f"{answer.status}: {answer.detail}" if answer.status else answer.detail


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def say_what_became(
    asked: Asked, told: Told, document: dict[str, Any], *, job: bool = False
) -> None:
    """Say what became of a ping: one line for people where there is something to know, or JSON.

    With a job the JSON is one line on stderr, alone: stdout is the job's.
    """
    is_json = asked.has("--json")
    if told.message and not asked.has("--quiet") and not (is_json and job):
        note(f"telemhq: {told.message}" + (f" ({told.next_step})" if told.next_step else ""))
    if is_json:
        from telemhq_cli.render import envelope  # noqa: PLC0415 - for programs alone

        error = None if job else _error_of(told)
        warnings = [told.message] if told.message and error is None else []
        text = envelope.line(envelope.made(("ping",), document, warnings, error))
        (note if job else say)(text)


def _error_of(told: Told) -> dict[str, Any] | None:
    kind = KINDS.get(told.outcome)
    if kind is None:
        return None
    return {
        "kind": kind,
        "message": told.message,
        "next_step": told.next_step,
        "exit_code": EXIT_CODES[told.outcome],
    }
