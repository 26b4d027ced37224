"""What the agent shows of itself: its status file, its log, and what it says to a terminal."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock
from telemhq_cli import status
from telemhq_cli.agent import Pass, in_words
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_agents.errors import TelemhqError
    from telemhq_agents.locations import Locations
    from telemhq_cli.agent import Plan
    from telemhq_cli.journal import Journal
    from telemhq_cli.watching import Watch


class Board:
    """Where the loop and its courier, each in its own thread, say what they did."""

    def __init__(
        self, ours: Locations, plan: Plan, journal: Journal, said: Callable[[Pass], None]
    ) -> None:
        self._ours = ours
        self._journal = journal
        self._said = said
        self._lock = Lock()
        self._problems: list[str] = []
        self._read = Pass()
        self._sent = Pass()
        self._status: dict[str, Any] = {
            "pid": os.getpid(),
            "sources": [source.value for source in plan.sources],
            "started_ms": clock.now_ms(),
            "last_pass_ms": None,
            "watching_by": "",
            "why_polling": "",
        }

    def passed(self, done: Pass, watch: Watch) -> None:
        """Show a pass."""
        with self._lock:
            self._read = done
            self._status["last_pass_ms"] = clock.now_ms()
            self._status["watching_by"] = "polling" if watch.is_polling else "notifications"
            self._status["why_polling"] = watch.why_polling
            self._show(_news(done))

    def sent(self, done: Pass) -> None:
        """Show what went to the servers."""
        with self._lock:
            self._sent = done
            self._show(_sent(done))

    def sending_failed(self, error: TelemhqError | OSError) -> None:
        """Show what kept the outbox from being emptied."""
        self.sent(Pass(problems=[in_words(error)]))

    def failed(self, error: TelemhqError | OSError) -> None:
        """Show what kept a pass from being made."""
        with self._lock:
            self._read = Pass(problems=[in_words(error)])
            self._show("")

    def _show(self, news: str) -> None:
        now = Pass(
            hooks=self._read.hooks,
            pings=self._sent.pings,
            scans=self._read.scans,
            queued=self._read.queued,
            delivery=self._sent.delivery,
            problems=[*dict.fromkeys(self._read.problems + self._sent.problems)],
        )
        new = [problem for problem in now.problems if problem not in self._problems]
        self._problems = now.problems
        for line in filter(None, [news, *new]):
            self._journal.write(line)
        self._said(now)
        status.write(self._ours, self._status | {"last_pass": status.as_json(now)})


def _news(done: Pass) -> str:
    """Say what a pass found, "" where that is nothing."""
    read = sum(report.files_read for report in done.scans.values())
    responses = sum(report.new_facts for report in done.scans.values())
    if not read + done.hooks + done.queued:
        return ""
    return (
        f"read {counted(read, 'log')}, {counted(responses, 'new response')},"
        f" {counted(done.hooks, 'hook event')}; queued {counted(done.queued, 'ping')}"
    )


def _sent(done: Pass) -> str:
    """Say what went out, "" where that is nothing."""
    report = done.delivery
    if report is None:
        return ""
    figures = {
        "taken in": done.pings,
        "sent": report.sent,
        "known there": report.duplicates,
        "to be tried again": report.retried,
        "parked": report.parked,
        "uncertain": report.uncertain,
    }
    told = ", ".join(f"{count} {what}" for what, count in figures.items() if count)
    return f"pings: {told}; {report.left} wait" if told else ""
