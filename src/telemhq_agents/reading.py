"""Many logs read at once: worker processes read, their caller takes what they found, in order.

Workers are forked, so they know the jobs without being told. Each takes the next jobs out of one
pipe, which keeps all cores busy to the end, and sends what it finds through another, of
its own. Where forking is not safe or not worth it, the same jobs run in this process.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from telemhq_agents.ledger.packing import Packed
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.usage import SessionTotal, Turn, UsageFact

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from telemhq_agents.pricing import Prices

WORTH_FORKING_BYTES = 30 << 20
"""Below this, two processes are ready later than one."""

MOST_WORKERS = 4
"""Each takes memory, and one process books what all of them find."""

OUT_OF_MEMORY = "there was not enough memory to read it; it is left for the next time"


class Reading(Struct, frozen=True, array_like=True, gc=False):
    """What one part of a log held, and how far it has been read with it.

    A huge log comes in several parts, each with the cursor that goes with it. `cursor` is None
    where the log could not be read; `problems` say why, for a person. Facts that another process
    found are `packed`.
    """

    facts: list[UsageFact] = msgspec.field(default_factory=list)
    turns: list[Turn] = msgspec.field(default_factory=list)
    totals: list[SessionTotal] = msgspec.field(default_factory=list)
    cursor: Cursor | None = None
    lines: int = 0
    bad_lines: int = 0
    problems: list[str] = msgspec.field(default_factory=list)
    packed: Packed = msgspec.field(default_factory=Packed)


class Job(NamedTuple):
    """A log to be read. `size` is about how many bytes; `read` opens it and yields its parts."""

    path: str
    size: int
    read: Callable[[], Iterator[Reading]]


class Found(NamedTuple):
    """One part of the log that the job with this number (from 0) reads."""

    number: int
    reading: Reading


def read_all(
    jobs: Sequence[Job],
    prices: Callable[[], Prices] | None = None,
    workers: int | None = None,
) -> Generator[Found, None, None]:
    """Yield what all jobs find, in their order; `workers` processes read (None: as many as pay).

    Where processes read, and there are `prices`, they also find out what each fact costs. A log whose worker was killed becomes a problem, and so does one that memory did not suffice
    for. Closing the iterator, or any exception, ends the workers. Any other error of a job is
    raised here: it is a mistake in the reader.
    """
    if workers is None:
        workers = workers_for(jobs)
    if workers < 2:  # noqa: PLR2004 - one other process would only add its own start
        yield from read_here(jobs)
        return
    from telemhq_agents.workers import Pool  # noqa: PLC0415 - a scan of little needs none

    with closing(Pool(jobs, workers, prices() if prices else None)) as pool:
        yield from pool.found()


def workers_for(jobs: Sequence[Job]) -> int:
    """Return how many processes should read; 0 where this one should.

    A process that has threads must not fork: a lock that one of them holds would stay locked.
    """
    if sys.platform != "linux" or sum(job.size for job in jobs) < WORTH_FORKING_BYTES:
        return 0
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        return 0
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS, len(jobs))


def parts_of(job: Job) -> Iterator[Reading]:
    """Yield a log's parts; running out of memory is a problem of that log alone."""
    try:
        yield from job.read()
    except MemoryError:
        yield Reading(problems=[f"{job.path}: {OUT_OF_MEMORY}"])


def read_here(jobs: Sequence[Job]) -> Iterator[Found]:
    """Yield what all jobs find, read in this process."""
    for number, job in enumerate(jobs):
        for reading in parts_of(job):
            yield Found(number, reading)
