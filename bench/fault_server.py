"""The real server, for faults: SIGUSR1 sets its clock back an hour, SIGUSR2 sets it right again.

FAULT_BUSY_SECONDS and FAULT_HEAD_SECONDS shorten its patience with a locked database and with slow
connections. Prints its URL.
"""

from __future__ import annotations

import os
import signal

from telemhq_agents import clock

HOUR_MS = 60 * 60 * 1000
_true_now_ms = clock.now_ms
_offset_ms = 0


def _set_clock(number: int, _frame: object) -> None:
    global _offset_ms  # noqa: PLW0603 - the clock of a whole process
    _offset_ms = -HOUR_MS if number == signal.SIGUSR1 else 0


def _now_ms() -> int:
    return _true_now_ms() + _offset_ms


def main() -> None:
    signal.signal(signal.SIGUSR1, _set_clock)
    signal.signal(signal.SIGUSR2, _set_clock)
    # Before anything of the server's takes the function out of its module.
    clock.now_ms = _now_ms
    from server_stub import connections  # noqa: PLC0415 - see above
    from server_stub.run import serve  # noqa: PLC0415
    from server_stub.settings import load  # noqa: PLC0415
    from server_stub.store import engine  # noqa: PLC0415

    engine.BUSY_SECONDS = float(  # type: ignore[assignment]
        os.environ.get("FAULT_BUSY_SECONDS", engine.BUSY_SECONDS)
    )
    connections.HEAD_SECONDS = float(os.environ.get("FAULT_HEAD_SECONDS", connections.HEAD_SECONDS))
    serve(load(), ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
