"""The process that books pings, beside the one that answers them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import func, select

from server_stub.domain.problem import ProblemError
from server_stub.domain.run import Arrival, RunFacts
from server_stub.store.booker import Frames, Outcomes, encode, framed, heard, read_outcomes, told
from server_stub.store.engine import reading_engine
from server_stub.store.ingest import Booked, Refusal
from server_stub.store.limits import OverLimit
from server_stub.store.line import BookingLine
from server_stub.store.quotas import Quota
from server_stub.store.tables import buckets, idempotency_keys, runs
from server_stub.store.writer import UNAVAILABLE
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.ping import Recorded
from telemhq_agents.contract.routes import HEALTH

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

PATIENCE = 30.0
SERVE = """
import logging, sys
logging.basicConfig()
from server_stub.run import serve
from server_stub.settings import load
serve(load(), ready=lambda url: print(url, flush=True))
"""


class Server:
    """A server process and its booker."""

    def __init__(self, process: subprocess.Popen[str], http: httpx.Client) -> None:
        self.process = process
        self.http = http
        (self.booker,) = children(process.pid)

    def ping(self, key: str, **fields: Any) -> httpx.Response:
        return self.http.post("/ping/tok", json=fields, headers={"Idempotency-Key": key})


def children(pid: int) -> list[int]:
    told_by_system = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in told_by_system.split()]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def serving(database_url: str, tls: ssl.SSLContext) -> Iterator[Server]:
    environ = os.environ | {"TELEMHQ_DATABASE_URL": database_url, "TELEMHQ_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with httpx.Client(base_url=url, verify=tls, trust_env=False) as http:
        yield Server(process, http)
    process.kill()
    process.communicate()


@pytest.fixture
def server(
    database_url: str, add_tracker: Callable[..., str], no_certificates: ssl.SSLContext
) -> Iterator[Server]:
    """A server process on the test's database, with the tracker `tok`."""
    add_tracker("tok")
    with serving(database_url, no_certificates) as running:
        yield running


def counted(database_url: str) -> tuple[int, int, int]:
    """Runs, keys and the runs that the buckets sum up to."""
    engine = reading_engine(database_url)
    with engine.connect() as connection, connection.begin():
        found = (
            connection.execute(select(func.count()).select_from(runs)).scalar_one(),
            connection.execute(select(func.count()).select_from(idempotency_keys)).scalar_one(),
            int(connection.execute(select(func.sum(buckets.c.runs))).scalar_one() or 0),
        )
    engine.dispose()
    return found


def test_pings_are_booked_and_answered_across_the_line(server: Server, database_url: str) -> None:
    first, again = server.ping("k", project="p"), server.ping("k", project="p")
    others = [server.ping(f"k{number}") for number in range(20)]

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["duplicate"], again.json()["duplicate"]) == (False, True)
    assert first.json()["id"] == again.json()["id"]
    assert {answer.status_code for answer in others} == {200}
    assert server.http.post("/ping/nobody", json={}).status_code == 404
    assert counted(database_url) == (21, 21, 21)


def test_a_number_that_the_line_cannot_carry_is_booked_as_well(
    server: Server, database_url: str
) -> None:
    answers = [server.ping("huge", note=10**40), server.ping("plain")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert counted(database_url) == (2, 2, 2)


def test_a_booker_that_dies_is_survived(server: Server, database_url: str) -> None:
    answered: list[str] = []
    refused: list[int] = []

    def load(sender: int) -> None:
        for number in range(60):
            key = f"{sender}-{number}"
            answer = server.ping(key)
            if answer.status_code == 200:
                answered.append(key)
            else:
                refused.append(answer.status_code)

    senders = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    until(lambda: len(answered) > 40)
    os.kill(server.booker, signal.SIGKILL)
    for sender in senders:
        sender.join()

    assert set(refused) <= {503}
    assert len(answered) + len(refused) == 240
    stored, keys, summed = counted(database_url)
    assert stored == keys == summed
    assert len(answered) <= stored <= 240
    assert [server.ping(key).json()["duplicate"] for key in answered[-5:]] == [True] * 5
    assert server.http.get(HEALTH).status_code == 200


def test_what_else_is_written_takes_turns_with_the_booker(
    server: Server, database_url: str
) -> None:
    statuses: list[int] = []
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            statuses.append(server.ping(f"k{number}").status_code)

    sender = threading.Thread(target=load)
    sender.start()
    well = [server.http.get(HEALTH).status_code for _ in range(30)]
    stop.set()
    sender.join()

    assert well == [200] * 30
    assert set(statuses) == {200}
    assert counted(database_url) == (len(statuses),) * 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_booker_ends_with_its_server(number: signal.Signals, server: Server) -> None:
    assert server.ping("k").status_code == 200

    server.process.send_signal(number)
    server.process.wait(PATIENCE)

    until(lambda: not is_alive(server.booker))


def test_a_signal_to_both_ends_both_well(server: Server, database_url: str) -> None:
    assert server.ping("k").status_code == 200

    for pid in (server.booker, server.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    assert server.process.wait(PATIENCE) == 0
    assert counted(database_url) == (1, 1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        Booked(1, 2),
        Booked(
            1, 2, duplicate=True, recorded=Recorded(3, 1, 0, 2, 10, 4, 0, 5, 0, 15, 0.5, 9, 10, "p")
        ),
        Booked(1, 2, quota=Quota(10, 3, 0)),
        Refusal.GONE,
        OverLimit("free", Quota(10, 10, 0)),
        OverLimit("free", payload_bytes=1024),
    ],
)
def test_every_outcome_comes_over_the_line_as_it_was(answer: Any) -> None:
    (one,) = read_outcomes(encode(Outcomes(7, [told(answer)]))).told

    assert heard(one) == answer


@pytest.mark.parametrize("error", [ProblemError(UNAVAILABLE), RuntimeError("no problem of ours")])
def test_an_error_comes_over_the_line_as_its_problem(error: Exception) -> None:
    (one,) = read_outcomes(encode(Outcomes(7, [told(error)]))).told

    answer = heard(one)
    assert isinstance(answer, ProblemError)
    assert answer.problem == UNAVAILABLE


def test_the_line_tells_since_when_somebody_waits_and_what_could_not_be_written() -> None:
    async def talk() -> None:
        ours, theirs = socket.socketpair()
        turns, its_turns = socket.socketpair()
        ours.settimeout(0)
        line = BookingLine(ours, turns, 0)
        told_of = asyncio.Queue[Any]()
        await line.connect()

        def book(ticket: int) -> None:
            facts = RunFacts(ticket, Amounts(runs=1))
            line.book(Arrival("tok", "", ticket, facts), ticket, told_of.put_nowait)

        async def answer(number: int, outcome: Any) -> None:
            theirs.sendall(framed(encode(Outcomes(number, [told(outcome)]))))
            await told_of.get()

        nobody = line.waiting_since_ms()
        book(100)
        fresh = line.waiting_since_ms()
        await asyncio.sleep(0)
        book(200)
        await asyncio.sleep(0)
        await answer(1, Booked(1, 100))
        written = line.waiting_since_ms(), line.troubles
        await answer(2, ProblemError(UNAVAILABLE))

        assert (nobody, fresh, written) == (None, 100, (200, 0))
        assert (line.waiting_since_ms(), line.troubles) == (None, 1)
        for end in (theirs, turns, its_turns):
            end.close()

    asyncio.run(talk())


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_messages_are_cut_out_of_whatever_pieces_they_come_in(size: int) -> None:
    messages = [b"", b"a", b"x" * 300, b"end"]
    stream = b"".join(framed(message) for message in messages)
    frames = Frames()

    found = [
        message
        for start in range(0, len(stream), size)
        for message in frames.feed(stream[start : start + size])
    ]

    assert found == messages
