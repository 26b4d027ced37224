"""Two transactions at the same moment, in an order that a test can rely on (PostgreSQL alone)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    import threading

    from sqlalchemy import Engine


def wait_until_blocked(engine: Engine, thread: threading.Thread) -> None:
    """Wait until somebody waits for a lock, or the thread did not have to."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with engine.connect() as connection:
        while thread.is_alive() and not connection.execute(text(waiting)).scalar_one():
            connection.rollback()
            time.sleep(0.002)
