from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from telemhq_agents.credentials import Credentials, Destination
from telemhq_agents.delivery.client import PingSender
from telemhq_agents.delivery.outbox import deliver
from telemhq_agents.ledger.records import OutboxState
from telemhq_agents.ledger.store import Ledger
from tests.telemhq_agents.doors import CAPABLE, RECEIPT, Answer, Door, open_door, receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_795_161_600_000
FOREIGN = {"message": "POST here"}
RUN = b'{"status":"success"}'


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite3") as ledger:
        yield ledger


@pytest.fixture
def sender() -> Iterator[PingSender]:
    with PingSender(timeout_s=5) as sender:
        yield sender


def known(**doors: Door) -> Credentials:
    return Credentials(
        destinations={name: Destination(name, door.url, "codex") for name, door in doors.items()}
    )


def fill(
    ledger: Ledger, destination: str, count: int, body: bytes = RUN, prefix: str = "run"
) -> None:
    with ledger.transaction():
        for number in range(count):
            ledger.enqueue(destination, f"{prefix}:{destination[-3:]}:{number}", body, NOW)


def test_what_is_pending_is_sent_once_with_its_key_and_leaves(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 150)

    with open_door() as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert (report.sent, report.left, report.problems) == (150, 0, [])
    assert sorted(key for _, key, _ in door.seen) == sorted(f"run:ome:{n}" for n in range(150))
    assert ledger.outbox() == []


def test_a_ping_url_is_a_destination_of_its_own(ledger: Ledger, sender: PingSender) -> None:
    with open_door() as door:
        fill(ledger, door.url, 1)
        report = deliver(ledger, sender, Credentials(), now_ms=lambda: NOW)

    assert report.sent == 1


def test_a_known_key_counts_as_delivered(ledger: Ledger, sender: PingSender) -> None:
    fill(ledger, "home", 1)

    with open_door(lambda _key, _body: (200, {"Idempotency-Replayed": "true"}, RECEIPT)) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert (report.sent, report.duplicates) == (0, 1)
    assert ledger.outbox() == []


def test_one_dead_destination_does_not_hold_up_another(ledger: Ledger, sender: PingSender) -> None:
    fill(ledger, "dead", 200)
    fill(ledger, "home", 5)
    with open_door() as dead:
        pass

    with open_door() as door:
        report = deliver(ledger, sender, known(home=door, dead=dead), now_ms=lambda: NOW)

    assert (report.sent, report.left) == (5, 200)
    assert [problem.partition(":")[0] for problem in report.problems] == ["dead"]


def test_a_destination_that_died_is_asked_again_with_growing_patience(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 3)
    with open_door() as gone:
        pass
    waits = []
    now = NOW
    for _ in range(4):
        deliver(ledger, sender, known(home=gone), now_ms=partial(int, now), dice=lambda: 1.0)
        due = ledger.next_due_ms()
        assert due is not None
        waits.append(due - now)
        now = due

    assert waits == [1_000, 2_000, 4_000, 8_000]

    with open_door() as door:
        assert deliver(ledger, sender, known(home=door), now_ms=lambda: now + 60_000).sent == 3
    assert ledger.failures_in_a_row("home") == 0


def test_before_its_time_nothing_is_sent(ledger: Ledger, sender: PingSender) -> None:
    fill(ledger, "home", 1)

    with open_door(lambda _key, _body: (429, {"Retry-After": "60"}, b"")) as door:
        deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)
        deliver(ledger, sender, known(home=door), now_ms=lambda: NOW + 59_999)
        assert len(door.seen) == 1
        deliver(ledger, sender, known(home=door), now_ms=lambda: NOW + 60_000)

    assert len(door.seen) == 2


def test_a_server_that_asks_to_wait_gets_no_other_ping_meanwhile(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 300)

    with open_door(lambda _key, _body: (429, {"Retry-After": "60"}, b"")) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert len(door.seen) <= 64
    assert report.left == 300


def test_one_ping_that_the_server_stumbles_over_does_not_stop_the_others(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 1, b'{"project":"poison"}', "bad")
    fill(ledger, "home", 200)

    def stumble(_key: str, body: bytes) -> Answer:
        return (500, {}, b"") if b"poison" in body else (200, {}, RECEIPT)

    with open_door(stumble) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW, dice=lambda: 1.0)

    assert (report.sent, report.retried, report.left) == (200, 1, 1)


def test_a_server_that_stumbles_over_everything_is_left_in_peace(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 300)

    with open_door(lambda _key, _body: (500, {}, b"")) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert len(door.seen) <= 64
    assert report.left == 300


def test_a_server_that_hangs_is_waited_for_by_those_in_flight_alone(ledger: Ledger) -> None:
    fill(ledger, "home", 300)
    asked = []

    def hang(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=CAPABLE)
        asked.append(request.headers["Idempotency-Key"])
        raise httpx.ReadTimeout("timed out")

    home = Destination("home", "http://telemhq.test/ping/secret", "codex")
    with PingSender(transport=httpx.MockTransport(hang)) as sender:
        deliver(ledger, sender, Credentials(destinations={"home": home}), now_ms=lambda: NOW)

    assert 1 <= len(asked) <= 4


def test_a_refused_ping_is_parked_with_the_servers_words_and_shown(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 1, b'{"project":"poison"}', "bad")
    fill(ledger, "home", 2)
    problem = b'{"title":"Some fields are wrong","detail":"project: no","next":"leave it out"}'

    with open_door(
        lambda _key, body: (422, {}, problem) if b"poison" in body else receipt("", b"")
    ) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert (report.sent, report.parked) == (2, 1)
    (row,) = ledger.outbox(OutboxState.PARKED)
    assert row.last_error == "422: Some fields are wrong; project: no; leave it out"

    ledger.unpark()
    with open_door() as door:
        assert deliver(ledger, sender, known(home=door), now_ms=lambda: NOW).sent == 1


def test_a_tracker_that_is_gone_parks_everything_for_it_after_one_question(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 500)

    with open_door(lambda _key, _body: (410, {}, b"")) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert len(door.seen) <= 64
    assert (report.parked, report.left) == (500, 0)
    assert ledger.counts().parked == 500
    assert report.problems == ["home: 410: without a word"]


def test_a_destination_that_nobody_knows_any_more_keeps_its_pings(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "old", 3)

    report = deliver(ledger, sender, Credentials(), now_ms=lambda: NOW)

    assert (report.sent, report.left) == (0, 3)
    assert "log in again" in report.problems[0]


def test_no_problem_ever_shows_a_tracking_token(ledger: Ledger, sender: PingSender) -> None:
    with open_door() as gone:
        pass
    fill(ledger, gone.url, 1)

    report = deliver(ledger, sender, Credentials(), now_ms=lambda: NOW)

    assert report.problems
    assert "secret" not in report.problems[0]


def test_a_limit_is_kept(ledger: Ledger, sender: PingSender) -> None:
    fill(ledger, "home", 10)

    with open_door() as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW, limit=3)

    assert (report.sent, report.left, len(door.seen)) == (3, 7, 3)


def test_whoever_asks_to_stop_is_obeyed(ledger: Ledger, sender: PingSender) -> None:
    fill(ledger, "home", 10)
    stop = threading.Event()
    stop.set()

    with open_door() as door:
        assert deliver(ledger, sender, known(home=door), stop=stop).left == 10


def test_while_another_process_delivers_nothing_is_sent(
    ledger: Ledger, sender: PingSender, tmp_path: Path
) -> None:
    fill(ledger, "home", 1)

    with (
        Ledger.open(tmp_path / "ledger.sqlite3") as other,
        other.delivering() as theirs,
        open_door() as door,
    ):
        assert theirs
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert (report.sent, report.left, door.seen) == (0, 1, [])


# Servers that know no idempotency


def test_a_foreign_server_gets_runs_but_no_corrections_and_no_starts(
    ledger: Ledger, sender: PingSender
) -> None:
    ledger.enqueue("home", "a", RUN, NOW)
    ledger.enqueue("home", "b", b'{"kind":"correction","corrects":"a","output_tokens":-7}', NOW)
    ledger.enqueue("home", "c", b'{"kind":"start"}', NOW)

    with open_door(lambda _key, _body: (200, {}, b"OK"), FOREIGN) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert [body for _, _, body in door.seen] == [RUN]
    assert (report.sent, report.parked) == (1, 1)
    (row,) = ledger.outbox()
    assert (row.key, row.state) == ("b", OutboxState.PARKED)
    assert "not understood by this server" in row.last_error


@pytest.mark.parametrize(
    ("difference", "left"),
    [
        ('"runs":2,"failures":1,"duration_ms":900', []),
        ('"runs":2,"output_tokens":0', []),
        ('"runs":2,"output_tokens":1', [OutboxState.PARKED]),
        ('"cost_usd":-0.5', [OutboxState.PARKED]),
        ('"unpriced_tokens":5', [OutboxState.PARKED]),
    ],
)
@pytest.mark.parametrize(
    "able",
    [{}, {"idempotency": True}, {"corrections": True}],
    ids=["foreign", "keys alone", "corrections without keys"],
)
def test_what_a_server_without_corrections_counts_by_itself_is_not_kept_for_it(
    ledger: Ledger,
    sender: PingSender,
    difference: str,
    left: list[OutboxState],
    able: dict[str, bool],
) -> None:
    body = f'{{"kind":"correction","corrects":"a","revision":1,{difference}}}'
    ledger.enqueue("home", "a.r1", body.encode(), NOW)

    with open_door(instructions=CAPABLE | {"capabilities": able}) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert door.seen == []
    assert [row.state for row in ledger.outbox()] == left
    assert report.parked == len(left)


def test_an_answer_that_never_came_from_a_foreign_server_is_shown_not_resent(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 1)

    with open_door(lambda _key, _body: None, FOREIGN) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)
        deliver(ledger, sender, known(home=door), now_ms=lambda: NOW + 10**9)

    assert report.uncertain == 1
    assert len(door.seen) == 1
    assert [row.state for row in ledger.outbox()] == [OutboxState.UNCERTAIN]


def test_an_unprotected_ping_that_was_being_sent_when_we_died_is_uncertain(
    ledger: Ledger, sender: PingSender
) -> None:
    fill(ledger, "home", 2)
    (first, _) = ledger.outbox()
    ledger.begin_sending(first)

    with open_door(lambda _key, _body: (200, {}, b"OK"), FOREIGN) as door:
        report = deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert report.uncertain == 1
    assert [key for _, key, _ in door.seen] in ([], ["run:ome:1"])
    assert first.key in {row.key for row in ledger.outbox(OutboxState.UNCERTAIN)}


# Crashes

VICTIM = """
import sys
from pathlib import Path
from telemhq_agents.credentials import Credentials
from telemhq_agents.delivery.client import PingSender
from telemhq_agents.delivery.outbox import deliver
from telemhq_agents.ledger.store import Ledger

with Ledger.open(Path(sys.argv[1])) as ledger, PingSender() as sender:
    deliver(ledger, sender, Credentials(), now_ms=lambda: 1795161600000)
"""


def test_killed_between_send_and_record_the_same_keys_are_sent_again(
    ledger: Ledger, sender: PingSender
) -> None:
    """The door takes a ping and kills its sender before it answers."""
    taken: set[str] = set()
    victim: list[subprocess.Popen[bytes]] = []
    repeated = []

    def kill_after_taking(key: str, _body: bytes) -> Answer:
        known_key = key in taken
        taken.add(key)
        if len(taken) == 7 and victim[0].poll() is None:
            os.kill(victim[0].pid, signal.SIGKILL)
            victim[0].wait()
        if known_key:
            repeated.append(key)
            return 200, {"Idempotency-Replayed": "true"}, RECEIPT
        return 200, {}, RECEIPT

    with open_door(kill_after_taking, CAPABLE) as door:
        fill(ledger, door.url, 30)
        script = f"import sys; sys.path[:] = {sys.path!r}\n{VICTIM}"
        victim.append(subprocess.Popen([sys.executable, "-c", script, str(ledger.path)]))
        assert victim[0].wait(30) == -signal.SIGKILL
        assert ledger.counts().pending == 30

        report = deliver(ledger, sender, Credentials(), now_ms=lambda: NOW)

    assert len(taken) == 30
    assert len(repeated) >= 7
    assert report.duplicates == len(repeated)
    assert report.sent + report.duplicates == 30
    assert ledger.outbox() == []


def test_killed_while_a_foreign_server_had_a_ping_it_is_shown_not_resent(
    ledger: Ledger, sender: PingSender
) -> None:
    victim: list[subprocess.Popen[bytes]] = []

    def kill(_key: str, _body: bytes) -> Answer:
        if victim[0].poll() is None:
            os.kill(victim[0].pid, signal.SIGKILL)
            victim[0].wait()
        return 200, {}, b"OK"

    with open_door(kill, FOREIGN) as door:
        fill(ledger, door.url, 3)
        script = f"import sys; sys.path[:] = {sys.path!r}\n{VICTIM}"
        victim.append(subprocess.Popen([sys.executable, "-c", script, str(ledger.path)]))
        assert victim[0].wait(30) == -signal.SIGKILL

        deliver(ledger, sender, Credentials(), now_ms=lambda: NOW)
        deliver(ledger, sender, Credentials(), now_ms=lambda: NOW)

    assert sorted(key for _, key, _ in door.seen) == ["run:ret:0", "run:ret:1", "run:ret:2"]
    assert [(row.key, row.state) for row in ledger.outbox()] == [
        ("run:ret:0", OutboxState.UNCERTAIN)
    ]


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b"\xff"])
def test_whatever_lies_in_the_outbox_is_sent_as_it_is(
    ledger: Ledger, sender: PingSender, body: bytes
) -> None:
    fill(ledger, "home", 1, body)

    with open_door(instructions=FOREIGN) as door:
        deliver(ledger, sender, known(home=door), now_ms=lambda: NOW)

    assert [seen for _, _, seen in door.seen] == [body]


def test_a_page_in_place_of_instructions_is_no_foreign_server(ledger: Ledger) -> None:
    """A hotel's login page must not make us park corrections."""
    ledger.enqueue("home", "b", b'{"kind":"correction","corrects":"a","revision":1}', NOW)
    page = httpx.MockTransport(lambda _request: httpx.Response(200, text="<html>room?</html>"))
    home = Destination("home", "http://telemhq.test/ping/secret", "codex")

    with PingSender(transport=page) as sender:
        report = deliver(ledger, sender, Credentials(destinations={"home": home}))

    assert (report.parked, report.retried, report.left) == (0, 1, 1)
