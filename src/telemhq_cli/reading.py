"""Reading all logs there are in a process of its own: `python -m telemhq_cli.reading SOURCE …`.

The first reading goes through gigabytes. Its memory goes with its process, and whoever waits for it
can be told to stop: what was booked stays booked, the rest is read the next time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents import clock, locations
from telemhq_agents.collecting import ScanReport
from telemhq_agents.errors import BrokenLedgerError, TelemhqError
from telemhq_agents.ledger import steering
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Event

LOOK_S = 0.1
STOP_S = 5.0
BOOKING_WAIT_S = 5.0
SOMEBODY_ELSE = "Another process reads the logs."


class NotNowError(TelemhqError):
    """Something kept the logs from being read that will have passed: it is tried again."""


class Caught(NamedTuple):
    """What a reading of all logs found, and how many pings it queued."""

    scans: dict[Source, ScanReport]
    queued: int


def in_a_process(sources: Sequence[Source], stop: Event) -> Caught | None:
    """Book and queue what the logs of these sources hold; None when told to stop before the end.

    Raises TelemhqError for what kept the process from it, NotNowError where that will pass.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "telemhq_cli.reading", *sources],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours to pass on
    )
    try:
        told = _answer(process, stop)
    finally:
        _end(process)
    if told is None:
        return None
    return _reports(told, process.returncode)


def _answer(process: subprocess.Popen[bytes], stop: Event) -> bytes | None:
    while not stop.is_set():
        try:
            return process.communicate(timeout=LOOK_S)[0]
        except subprocess.TimeoutExpired:
            continue
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _reports(told: bytes, code: int) -> Caught:
    try:
        answer: dict[str, Any] = json.loads(told)
    except ValueError:
        # Killed, as a machine that is short of memory does, or broken.
        kind = NotNowError if code < 0 else TelemhqError
        raise kind(
            f"The process that reads the logs ended with {code}.", "telemhq usage --local"
        ) from None
    if "busy" in answer:
        raise NotNowError(answer["busy"])
    if "broken" in answer:
        raise BrokenLedgerError(*answer["broken"])
    if "error" in answer:
        raise TelemhqError(*answer["error"])
    scans = {Source(name): ScanReport(**report) for name, report in answer["scans"].items()}
    return Caught(scans, answer["queued"])


def read_all(sources: Sequence[Source]) -> Mapping[str, Any]:
    """Book what is new and return what `in_a_process` understands."""
    from telemhq_cli import agent, intake  # noqa: PLC0415 - it imports this module's neighbours
    from telemhq_cli.opening import open_ledger, own_namer  # noqa: PLC0415 - same

    ours = locations.ours()
    try:
        with open_ledger(ours) as ledger, ledger.booking(BOOKING_WAIT_S) as is_ours:
            if not is_ours:
                return {"busy": SOMEBODY_ELSE}
            namer = own_namer(ours)
            found = intake.read_logs(ledger, sources, namer, clock.now_ms())
            queued = ledger.queue_due(clock.now_ms(), device=steering.sender(ours))
    except BrokenLedgerError as error:
        return {"broken": [error.message, error.next_step]}
    except TelemhqError as error:
        return {"error": [error.message, error.next_step]}
    except OSError as error:
        return {"error": [agent.in_words(error), ""]}
    scans = {source.value: asdict(report) for source, report in found.items()}
    return {"scans": scans, "queued": queued}


def main() -> int:
    """Read, and write on stdout what came of it as JSON."""
    told = read_all([Source(name) for name in sys.argv[1:]])
    sys.stdout.buffer.write(json.dumps(told).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
