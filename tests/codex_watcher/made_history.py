"""Histories as Codex writes them, made up step by step, with what each thread truly spent.

A step appends whole lines to one rollout, as a write of Codex does. The truth is kept beside: each
response adds to it once, whatever else is written of it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telemhq_agents import clock

BEGIN = 1_795_160_000_000
PARTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
Figures = tuple[int, int, int, int, int]
ZERO: Figures = (0, 0, 0, 0, 0)


def plus(one: Figures, other: Figures) -> Figures:
    a, b, c, d, e = (left + right for left, right in zip(one, other, strict=True))
    return a, b, c, d, e


def usage(figures: Figures) -> dict[str, int]:
    return {**dict(zip(PARTS, figures, strict=True)), "total_tokens": figures[0] + figures[3]}


@dataclass
class Thread:
    """One thread, and the file that it writes to."""

    id: str
    session: str
    name: str
    is_modern: bool
    lines: list[dict[str, Any]] = field(default_factory=list)
    ordinal: int = 0
    total: Figures = ZERO
    last: Figures = ZERO
    turn: str = ""
    reverted_to: Figures = ZERO


@dataclass
class MadeHistory:
    """A home of Codex. `truth` is what each thread spent, `turns` how many turns it had."""

    home: Path
    now_ms: int = BEGIN
    made: int = 0
    threads: list[Thread] = field(default_factory=list)
    truth: dict[str, Counter[str]] = field(default_factory=dict)
    turns: Counter[str] = field(default_factory=Counter)

    # What a person or Codex does; each takes the thread that it happens in.

    def begin(self, *, is_modern: bool, **meta: Any) -> Thread:
        born = self._uuid()
        thread = Thread(
            born, str(meta.get("session_id", born)), f"{self._moment()}-{born}", is_modern
        )
        self.threads.append(thread)
        self.truth[born] = Counter()
        self._meta(thread, **meta)
        return thread

    def start_turn(self, thread: Thread) -> None:
        if thread.turn:
            self.end_turn(thread)
        thread.turn = self._uuid()
        self._event(thread, "task_started", turn_id=thread.turn, started_at=self.now_ms / 1000)
        context = {"turn_id": thread.turn, "model": "gpt-5.3-codex", "cwd": "/home/dev/repo"}
        self._write(thread, "turn_context", context)
        self.turns[thread.id] += 1

    def end_turn(self, thread: Thread) -> None:
        ended = {"turn_id": thread.turn, "last_agent_message": "done", "started_at": 1.0}
        self._event(thread, "task_complete", **ended, duration_ms=5)
        thread.turn = ""

    def respond(self, thread: Thread, figures: Figures) -> None:
        self._need_turn(thread)
        self._spend(thread, figures)
        self._record(thread, figures)
        self._count(thread, figures)

    def respond_cut_off(self, thread: Thread, figures: Figures) -> None:
        """0.169: the total grew, and the last response says nothing. Older ones tell nothing."""
        if not thread.is_modern:
            return
        self._need_turn(thread)
        self._spend(thread, figures)
        self._record(thread, figures)
        self._count(thread, ZERO)

    def repeat(self, thread: Thread, _: Figures) -> None:
        if thread.total != ZERO:
            self._count(thread, thread.last)

    def tell_limits(self, thread: Thread, _: Figures) -> None:
        self._event(thread, "token_count", info=None, rate_limits={"limit_id": "codex"})

    def chatter(self, thread: Thread, _: Figures) -> None:
        self._write(thread, "response_item", {"type": "message", "text": '{"timestamp":"'})

    def compact(self, thread: Thread, figures: Figures) -> None:
        """The compaction's own call is a response; its line holds a copy of the record."""
        self.respond(thread, figures)
        copy = {"response_id": f"resp_{self.made}", "usage": usage(figures)}
        self._write(thread, "compacted", {"message": "", "latest_token_usage_record": copy})
        self._count(thread, ZERO)

    def resume_anew(self, thread: Thread, figures: Figures) -> None:
        """0.50 and 0.151 to 0.153: the running total restarts.

        A first response that used exactly what the total was before cannot be told from a repeat.
        """
        figures = (figures[0] + (figures == thread.total), *figures[1:])
        self.start_turn(thread)
        thread.total = thread.last = ZERO
        self.respond(thread, figures)

    def fork_by_copy(self, thread: Thread, figures: Figures) -> None:
        """Up to 0.149: own first line, then all of the parent's lines under new times."""
        child = self.begin(is_modern=thread.is_modern, forked_from_id=thread.id)
        for line in [*thread.lines]:
            self._append(child, {**line, "timestamp": clock.to_iso(self.now_ms)})
        child.total, child.last = thread.total, thread.last
        self.start_turn(child)
        self.respond(child, figures)

    def fork_by_name(self, thread: Thread, figures: Figures) -> None:
        """Paginated: history is named, and the total goes on from the parent's."""
        base = {"thread_id": thread.id, "end_ordinal_exclusive": thread.ordinal}
        child = self.begin(is_modern=True, forked_from_id=thread.id, history_base=base)
        child.total = thread.total
        if figures[0] % 2:
            self._count(child, ZERO)
        self.respond(child, figures)

    def spawn(self, thread: Thread, figures: Figures) -> None:
        """A subagent that knows nothing of its parent's history."""
        self.respond(self._child(thread), figures)

    def spawn_with_history(self, thread: Thread, figures: Figures) -> None:
        """0.151 and later: turns are copied, their tokens are not."""
        child = self._child(thread, forked_from_id=thread.id)
        for line in [*thread.lines]:
            kind = line["payload"].get("type", line["type"])
            if kind in {"task_started", "turn_context", "task_complete", "response_item"}:
                self._append(child, {**line, "timestamp": clock.to_iso(self.now_ms)})
        self.respond(child, figures)

    def review(self, thread: Thread, figures: Figures) -> None:
        """The parent's log shows the start of the child's turn, and no more of it."""
        if thread.turn:
            self.end_turn(thread)
        child = self.begin(
            is_modern=thread.is_modern,
            session_id=thread.session,
            parent_thread_id=thread.id,
            source={"subagent": "review"},
        )
        self.respond(child, figures)
        self._event(thread, "task_started", turn_id=child.turn)
        self.end_turn(child)

    def revert(self, thread: Thread, figures: Figures) -> None:
        """The thread goes on in a second file, from an earlier total; both files' spend is real."""
        if not thread.lines:
            return
        base = {"thread_id": thread.id, "end_ordinal_exclusive": thread.ordinal}
        thread.name = f"{self._moment()}-{thread.id}_{self._uuid()}"
        thread.lines, thread.turn = [], ""
        self._meta(thread, history_base=base)
        thread.total = thread.reverted_to
        self.respond(thread, figures)

    def fork_in_silence(self, thread: Thread, _: Figures) -> None:
        """A fork that nobody ever asked anything: a copy and nothing else."""
        child = self.begin(is_modern=thread.is_modern, forked_from_id=thread.id)
        for line in [*thread.lines]:
            self._append(child, {**line, "timestamp": clock.to_iso(self.now_ms)})
        child.lines = []

    # How it is written.

    def path(self, thread: Thread) -> Path:
        return self.home / "sessions" / f"rollout-{thread.name}.jsonl"

    def _child(self, thread: Thread, **more: Any) -> Thread:
        source = {"subagent": {"thread_spawn": {"parent_thread_id": thread.id, "depth": 1}}}
        parents = {"session_id": thread.session, "parent_thread_id": thread.id}
        return self.begin(is_modern=True, source=source, **parents, **more)

    def _spend(self, thread: Thread, figures: Figures) -> None:
        self.now_ms += 900
        thread.reverted_to = thread.total
        thread.total = plus(thread.total, figures)
        self.truth[thread.id].update(dict(zip(PARTS, figures, strict=True)), responses=1)

    def _record(self, thread: Thread, figures: Figures) -> None:
        self.made += 1
        if thread.is_modern:
            ids = {"thread_id": thread.id, "turn_id": thread.turn, "session_id": thread.session}
            told = {**ids, "response_id": f"resp_{self.made}", "usage": usage(figures)}
            told |= {"thread_token_usage": usage(thread.total)}
            self._write(thread, "token_usage_record", told)

    def _count(self, thread: Thread, last: Figures) -> None:
        thread.last = last
        info = {"total_token_usage": usage(thread.total), "last_token_usage": usage(last)}
        self._event(thread, "token_count", info=info, rate_limits=None)

    def _need_turn(self, thread: Thread) -> None:
        if not thread.turn:
            self.start_turn(thread)

    def _meta(self, thread: Thread, **more: Any) -> None:
        told = {"id": thread.id, "session_id": thread.session, "cwd": "/home/dev/repo", **more}
        told |= {"source": more.get("source", "cli"), "model_provider": "openai"}
        told |= {"cli_version": "0.169.0" if thread.is_modern else "0.145.0"}
        told |= {"history_mode": "paginated" if thread.is_modern else "legacy"}
        self._write(thread, "session_meta", told)

    def _event(self, thread: Thread, kind: str, **told: Any) -> None:
        self._write(thread, "event_msg", {"type": kind, **told})

    def _write(self, thread: Thread, kind: str, payload: dict[str, Any]) -> None:
        self.now_ms += 7
        self._append(
            thread,
            {"timestamp": clock.to_iso(self.now_ms), "type": kind, "payload": payload},
        )

    def _append(self, thread: Thread, line: dict[str, Any]) -> None:
        line = {name: value for name, value in line.items() if name != "ordinal"}
        thread.lines.append(line)
        if thread.is_modern:
            line = {"timestamp": line["timestamp"], "ordinal": thread.ordinal, **line}
        thread.ordinal += 1
        path = self.path(thread)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _uuid(self) -> str:
        self.now_ms += 3
        self.made += 1
        stamp = f"{self.now_ms:012x}"
        return f"{stamp[:8]}-{stamp[8:]}-7000-8000-{self.made:012x}"

    def _moment(self) -> str:
        return clock.to_iso(self.now_ms)[:19].replace(":", "-")


STEPS = (
    MadeHistory.respond,
    MadeHistory.respond_cut_off,
    MadeHistory.repeat,
    MadeHistory.tell_limits,
    MadeHistory.chatter,
    MadeHistory.compact,
    MadeHistory.resume_anew,
    MadeHistory.fork_by_copy,
    MadeHistory.fork_by_name,
    MadeHistory.fork_in_silence,
    MadeHistory.spawn,
    MadeHistory.spawn_with_history,
    MadeHistory.review,
    MadeHistory.revert,
)
