from __future__ import annotations

import errno
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from telemhq_agents.collecting import Plan, ScanReport, collect
from telemhq_agents.ledger.records import Batch, Booked, Cursor
from telemhq_agents.pricing import Prices
from telemhq_agents.reading import Found, Job, Reading, read_all
from telemhq_agents.usage import Place, Source, Turn, UsageFact
from telemhq_agents.workers import BrokenReaderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
# The process of a test runner may have threads; Python from 3.12 on warns of forking beside them.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
BOTH = pytest.mark.parametrize("workers", [0, 2, 3])


def cursor(number: int, offset: int = 0) -> Cursor:
    return Cursor(Source.CODEX, f"log {number}", f"/log/{number}", 1, 2, 3, "f", offset, {"n": 1})


def fact(number: int, part: int) -> UsageFact:
    return UsageFact(
        key=f"codex:{number}:{part}",
        source=Source.CODEX,
        session_id="s",
        thread_id="s",
        turn_key=f"codex:s:{number}",
        provider="openai",
        model="gpt-5",
        place=Place("/home/dev/repo", "repo", "repo"),
        at_ms=1_795_160_232_217,
        input_tokens=1_000_000,
    )


def turn(number: int) -> Turn:
    return Turn(f"codex:s:{number}", Source.CODEX, "s", "s", Place("/home/dev/repo"), 7)


def found_in(number: int, parts: int) -> Iterator[Reading]:
    for part in range(parts):
        yield Reading([fact(number, part)], [turn(number)], [], cursor(number, part), 10, 1)


def job(number: int, parts: int = 1) -> Job:
    return Job(f"/log/{number}", 100, lambda: found_in(number, parts))


def never() -> Iterator[Reading]:
    """Stand for a log that takes for ever."""
    time.sleep(60)
    yield from ()


def stopped_by(number: signal.Signals) -> Iterator[Reading]:
    os.kill(os.getpid(), number)
    time.sleep(60)
    yield from ()


def full() -> Iterator[Reading]:
    yield Reading([fact(3, 0)], cursor=cursor(3))
    raise MemoryError


def wrong() -> Iterator[Reading]:
    yield Reading(problems=[dict[str, str]()["a mistake of ours"]])


BEFORE: set[str] = set()
"""The processes that other tests of this one process have left to be reaped."""


@pytest.fixture(autouse=True)
def _only_its_own_count() -> None:
    BEFORE.clear()
    BEFORE.update(children())


def children() -> set[str]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(listed.read_text().split()) - BEFORE


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@BOTH
def test_what_jobs_find_comes_whole_and_in_their_order(workers: int) -> None:
    jobs = [job(number, parts=number % 4) for number in range(50)]

    found = list(read_all(jobs, workers=workers))

    assert found == [
        Found(number, part) for number in range(50) for part in found_in(number, number % 4)
    ]
    assert children() == set()


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_processes_are_few_fewer_read_or_this_one(
    allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = os.fork
    forked: list[int] = []

    def scarce() -> int:
        if len(forked) >= allowed:
            raise BlockingIOError(errno.EAGAIN, "no more processes")
        forked.append(1)
        return fork()

    jobs = [job(number, parts=2) for number in range(50)]
    wanted = list(read_all(jobs, workers=0))
    files = open_files()
    monkeypatch.setattr(os, "fork", scarce)

    assert list(read_all(jobs, workers=3)) == wanted
    assert (len(forked), children()) == (allowed, set())
    assert open_files() == files


def test_no_thread_is_needed_to_hear_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    jobs = [job(number, parts=2) for number in range(50)]
    wanted = list(read_all(jobs, workers=0))
    monkeypatch.setattr(threading.Thread, "start", none)

    assert list(read_all(jobs, workers=3)) == wanted
    assert children() == set()


def test_more_jobs_than_a_pipe_has_room_for_are_all_done() -> None:
    jobs = [Job(str(number), 1, lambda: iter([Reading(lines=1)])) for number in range(40_000)]

    numbers = [number for number, _ in read_all(jobs, workers=2)]

    assert numbers == list(range(40_000))


def test_a_late_first_job_holds_back_only_so_much_of_the_others() -> None:
    big = "x" * 1000

    def heavy() -> Iterator[Reading]:
        for _ in range(20_000):
            yield Reading(problems=[big])

    def slow() -> Iterator[Reading]:
        time.sleep(0.5)
        yield Reading(lines=1)

    with closing(read_all([Job("slow", 1, slow), Job("heavy", 1, heavy)], workers=2)) as found:
        before = memory()
        first = next(found)
        waiting = memory() - before
        rest = sum(1 for _ in found)

    assert first.reading.lines == 1
    assert rest == 20_000
    assert waiting < 12 << 20  # of 20 MB that are there


@BOTH
def test_running_out_of_memory_is_a_problem_of_one_log(workers: int) -> None:
    jobs = [job(0), Job("/log/full", 100, full), job(2)]

    found = list(read_all(jobs, workers=workers))

    assert [number for number, _ in found] == [0, 1, 1, 2]
    assert "/log/full: there was not enough memory" in found[2].reading.problems[0]
    assert found[2].reading.cursor is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_worker_leaves_its_log_to_the_next_time_and_the_rest_to_the_others(
    number: signal.Signals,
) -> None:
    jobs = [job(0), job(1), Job("/log/hit", 1, lambda: stopped_by(number)), *map(job, range(3, 30))]

    found = list(read_all(jobs, workers=2))

    unread = [reading.problems for _, reading in found if reading.problems]
    assert ["/log/hit: the process that read it was killed; it is left for the next time"] in unread
    assert [at for at, _ in found] == list(range(30))
    assert all(reading.cursor is None for _, reading in found if reading.problems)
    assert children() == set()


def test_when_all_workers_are_killed_every_log_that_is_left_is_named() -> None:
    jobs = [Job(f"/log/{at}", 1, lambda: stopped_by(signal.SIGKILL)) for at in range(5)]

    found = list(read_all(jobs, workers=2))

    assert [reading.problems[0].partition(":")[0] for _, reading in found] == [
        f"/log/{at}" for at in range(5)
    ]


@BOTH
def test_a_mistake_in_a_reader_is_not_hidden(workers: int) -> None:
    with pytest.raises((KeyError, BrokenReaderError), match="a mistake of ours"):
        list(read_all([job(0), Job("/log/1", 1, wrong)], workers=workers))
    assert children() == set()


def test_closing_ends_workers_at_once_whatever_they_do() -> None:
    jobs = [job(0), Job("/log/1", 2 << 20, never), Job("/log/2", 2 << 20, never)]
    began, others = time.monotonic(), set(threading.enumerate())

    with closing(read_all(jobs, workers=2)) as found:
        next(found)

    assert children() == set()
    assert time.monotonic() - began < 30
    assert set(threading.enumerate()) <= others


def test_ctrl_c_ends_reader_and_workers_without_a_word_of_theirs(tmp_path: Path) -> None:
    program = tmp_path / "reads.py"
    program.write_text(
        textwrap.dedent("""
            import os, time
            from telemhq_agents.reading import Job, Reading, read_all

            def job():
                os.write(1, b"reading\\n")
                time.sleep(60)
                yield Reading()

            try:
                list(read_all([Job("a", 1, job), Job("b", 1, job)], workers=2))
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        """)
    )
    process = subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    assert [process.stdout.readline(), process.stdout.readline()] == ["reading\n", "reading\n"]

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


ASKS = """
import threading
from telemhq_agents.reading import Job, workers_for

def asked(count, size):
    return workers_for([Job(str(number), size, list) for number in range(count)])

MB = 1 << 20
alone = [asked(2, 20 * MB), asked(99, 20 * MB), asked(2, 9 * MB), asked(1, 90 * MB)]
over = threading.Event()
beside = threading.Thread(target=over.wait)
beside.start()
print(*alone, asked(2, 20 * MB))
over.set()
"""


def test_only_a_lot_is_worth_processes_and_only_without_threads() -> None:
    cores = min(len(os.sched_getaffinity(0)), 4)

    told = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, check=True, text=True)

    assert [*map(int, told.stdout.split())] == [min(cores, 2), cores, 0, 1, 0]


class Shelf:
    """A ledger that remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def cursors(self, source: Source) -> Mapping[str, Cursor]:
        raise AssertionError(source)

    def book(self, batch: Batch) -> Booked:
        self.batches.append(batch)
        return Booked(len(batch.facts) + sum(len(packed.rows) for packed in batch.packed), 2)


@BOTH
def test_logs_of_both_sources_are_read_together_and_reported_apart(workers: int) -> None:
    def absent() -> Iterator[Reading]:
        yield Reading(problems=["/log/absent: Permission denied"])

    codex = Plan(Source.CODEX, 9, [job(0, 3), Job("/log/absent", 1, absent)], ["seen before"])
    claude = Plan(Source.CLAUDE, 4, [job(7, 2)], forgotten=[cursor(99)])
    shelf = Shelf()

    reports = collect(shelf, [codex, claude], workers=workers)

    assert reports == {
        Source.CODEX: ScanReport(
            9, 1, 30, 3, 3, 2, ["seen before", "/log/absent: Permission denied"]
        ),
        Source.CLAUDE: ScanReport(4, 1, 20, 2, 2, 2, []),
    }
    assert [[each.file_key for each in batch.cursors] for batch in shelf.batches] == [
        ["log 0"],
        ["log 7", "log 99"],
    ]
    assert [each.offset for each in shelf.batches[0].cursors] == [2]


def test_the_rest_of_one_source_is_booked_while_the_next_is_being_read() -> None:
    shelf = Shelf()
    booked: list[int] = []

    def late() -> Iterator[Reading]:
        for reading in found_in(7, 2):
            booked.append(len(shelf.batches))
            yield reading

    codex = Plan(Source.CODEX, 2, [job(0), job(1)])
    collect(shelf, [codex, Plan(Source.CLAUDE, 1, [Job("/log/7", 1, late)])])

    assert booked == [0, 1]


def test_workers_price_what_they_find() -> None:
    shelf = Shelf()

    collect(shelf, [Plan(Source.CODEX, 1, [job(0), job(1)])], Prices.load, workers=2)

    (batch,) = shelf.batches
    assert batch.facts == []
    rows = [row for packed in batch.packed for row in packed.rows]
    assert [row[0] for row in rows] == ["codex:0:0", "codex:1:0"]
    # gpt-5 costs 1.25 USD for a million tokens of input.
    assert {row[9] for row in rows} == {1_250_000_000}


def test_much_is_booked_in_several_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemhq_agents.collecting.MOST_FACTS", 4)
    shelf = Shelf()

    collect(shelf, [Plan(Source.CODEX, 1, [job(number, 3) for number in range(4)])])

    assert [len(batch.facts) for batch in shelf.batches] == [4, 4, 4]


def test_parts_of_a_step_are_smaller_for_as_long_as_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("telemhq_agents.collecting.MOST_FACTS", 4)
    monkeypatch.setattr("telemhq_agents.collecting.MOST_FACTS_OF_A_PART", 1)
    shelf = Shelf()
    jobs = [job(number) for number in range(7)]

    plan = Plan(Source.CODEX, 7, jobs)
    collect(shelf, [plan], in_parts=lambda: len(shelf.batches) < 2)

    assert [len(batch.facts) for batch in shelf.batches] == [1, 1, 4, 1]


FAULTS = """
import resource, sys
from telemhq_agents.workers import _keep_freed_memory

if sys.argv[1] == "kept":
    _keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    blocks = [b"x" * 200_000 for _ in range(8)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others keep memory as they like")
def test_memory_for_the_next_block_is_not_asked_of_the_system_again() -> None:
    def faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    # 100 times 1.6 MB are 40,000 pages of 4 KiB.
    assert faults("as it is") > 20_000
    assert faults("kept") < 2_000
