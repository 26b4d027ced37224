from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from claude_code_hooks.scan import scan
from telemhq_agents.ledger.records import Batch, Booked, Cursor
from telemhq_agents.usage import Place, SessionTotal, Source, Turn, TurnStatus, UsageFact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from telemhq_agents.collecting import ScanReport

COUNTERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
START = "2026-11-01T10:00:"
LATER_MS = 1_900_000_000_000


def merged_fact(known: UsageFact, seen: UsageFact, *, first: bool) -> UsageFact:
    """The rule in the docstring of UsageFact, written down a second time."""
    sizes = [one.input_tokens + one.output_tokens for one in (known, seen)]
    doubts = [one.estimate for one in (known, seen)]
    doubt = min(doubts) if sizes[0] == sizes[1] else doubts[sizes.index(max(sizes))]
    return replace(
        seen if first else known,
        at_ms=min(known.at_ms, seen.at_ms),
        estimate=doubt,
        **{name: max(getattr(known, name), getattr(seen, name)) for name in COUNTERS},
    )


def merged_turn(known: Turn, seen: Turn) -> Turn:
    """The rule in the docstring of Turn, written down a second time."""
    first = (seen.precedence, seen.started_ms) < (known.precedence, known.started_ms)
    end = seen if (seen.ended_ms or 0) > (known.ended_ms or 0) else known
    return replace(
        seen if first else known,
        started_ms=min(known.started_ms, seen.started_ms),
        ended_ms=end.ended_ms,
        duration_ms=end.duration_ms,
        status=end.status,
        failure=end.failure,
    )


@dataclass
class MemoryLedger:
    """A ledger in memory."""

    facts: dict[str, UsageFact] = field(default_factory=dict)
    ranks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Precedence and time of the sighting that each fact's session is from."""
    turns: dict[str, Turn] = field(default_factory=dict)
    known_cursors: dict[str, Cursor] = field(default_factory=dict)
    session_totals: dict[tuple[str, str], SessionTotal] = field(default_factory=dict)

    def cursors(self, source: Source) -> Mapping[str, Cursor]:
        assert source is Source.CLAUDE
        return dict(self.known_cursors)

    def book(self, batch: Batch) -> Booked:
        before = dict(self.facts)
        for fact in batch.facts:
            known, rank = self.facts.get(fact.key), (fact.precedence, fact.at_ms)
            first = known is None or rank < self.ranks[fact.key]
            if first:
                self.ranks[fact.key] = rank
            merged = fact if known is None else merged_fact(known, fact, first=first)
            self.facts[fact.key] = merged
        for turn in batch.turns:
            known_turn = self.turns.get(turn.key)
            self.turns[turn.key] = turn if known_turn is None else merged_turn(known_turn, turn)
        for total in batch.totals:
            told = self.session_totals.get((total.session_id, total.model))
            if told is None or total.at_ms >= told.at_ms:
                self.session_totals[total.session_id, total.model] = total
        stored = json.loads(json.dumps({each.file_key: each.state for each in batch.cursors}))
        for each in batch.cursors:
            self.known_cursors[each.file_key] = replace(each, state=stored[each.file_key])
        changed = sum(1 for key, fact in before.items() if self.facts[key] != fact)
        return Booked(len(self.facts) - len(before), changed)

    def totals(self) -> dict[str, int]:
        facts = self.facts.values()
        return {name: sum(getattr(fact, name) for fact in facts) for name in COUNTERS}

    def only_fact(self) -> UsageFact:
        (fact,) = self.facts.values()
        return fact

    def only_turn(self) -> Turn:
        (turn,) = self.turns.values()
        return turn

    def statuses(self) -> dict[str, TurnStatus]:
        return {key: turn.status for key, turn in self.turns.items()}


@dataclass
class PlainNamer:
    """Names a project after the last part of its directory."""

    asked: list[str] = field(default_factory=list)

    def place(self, cwd: str, repository: str = "") -> Place:
        self.asked.append(cwd + repository)
        name = cwd.rpartition("/")[2]
        return Place(cwd, name, name)


@dataclass
class Home:
    """A directory of Claude Code's that a test fills."""

    path: Path
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    namer: PlainNamer = field(default_factory=PlainNamer)

    def file(self, name: str) -> Path:
        path = self.path / "projects" / "-home-dev-repo" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, lines: Iterable[Mapping[str, Any]]) -> Path:
        path = self.file(name)
        path.write_bytes(b"".join(encoded(line) for line in lines))
        return path

    def append(self, name: str, *lines: Mapping[str, Any]) -> None:
        with self.file(name).open("ab") as stream:
            stream.writelines(encoded(line) for line in lines)

    def scan(self, **options: Any) -> ScanReport:
        options.setdefault("now_ms", LATER_MS)
        return scan(self.ledger, [self.path], self.namer, **options)


def encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def at(seconds: float) -> str:
    return f"{START}{seconds:06.3f}Z"


class Lines:
    """Lines as Claude Code 2.1.328 writes them; keyword arguments change top-level keys."""

    session = "s1"
    at = staticmethod(at)

    def line(self, kind: str, seconds: float, **changes: Any) -> dict[str, Any]:
        plain = {
            "isSidechain": False,
            "type": kind,
            "uuid": f"uuid-{kind}-{seconds}",
            "timestamp": at(seconds),
            "cwd": "/home/dev/repo",
            "sessionId": self.session,
            "version": "2.1.328",
        }
        return {key: value for key, value in {**plain, **changes}.items() if value is not ...}

    def prompt(self, seconds: float, text: Any = "please", **changes: Any) -> dict[str, Any]:
        changes = {"promptId": f"p{seconds}", "promptSource": "typed", **changes}
        return self.line("user", seconds, message={"role": "user", "content": text}, **changes)

    def queued(self, seconds: float, text: Any = "please") -> dict[str, Any]:
        plain = {"type": "queue-operation", "operation": "enqueue", "timestamp": at(seconds)}
        return {**plain, "sessionId": self.session, "content": text}

    def reply(
        self,
        seconds: float,
        key: Any = "msg_1",
        *,
        output: int = 50,
        stop: str | None = "end_turn",
        usage: Mapping[str, Any] | None = None,
        model: str = "claude-opus-5-5",
        **changes: Any,
    ) -> dict[str, Any]:
        counts = {
            "input_tokens": 10,
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 2000,
            "output_tokens": output,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        }
        message: dict[str, Any] = {
            "id": key,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": "an answer"}],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": counts if usage is None else usage,
        }
        kept = {key: value for key, value in message.items() if value is not ...}
        return self.line("assistant", seconds, message=kept, **changes)

    def api_error(self, seconds: float, **changes: Any) -> dict[str, Any]:
        changes = {"isApiErrorMessage": True, **changes}
        usage = {"input_tokens": 0, "output_tokens": 0}
        key, model = f"id-{seconds}", "<synthetic>"
        return self.reply(seconds, key, usage=usage, model=model, stop="stop_sequence", **changes)

    def tool_result(self, seconds: float, text: str = "done") -> dict[str, Any]:
        content = [{"tool_use_id": "toolu_1", "type": "tool_result", "content": text}]
        message = {"role": "user", "content": content}
        return self.line("user", seconds, message=message, toolUseResult={"stdout": text})

    def cost_state(self, model: str = "claude-opus-5-5", **counts: int) -> dict[str, Any]:
        names = {"input": "inputTokens", "output": "outputTokens", "read": "cacheReadInputTokens"}
        spent = {names.get(name, name): count for name, count in counts.items()}
        return {"type": "cost-state", "sessionId": self.session, "modelUsage": {model: spent}}

    def system(self, seconds: float, subtype: str, **changes: Any) -> dict[str, Any]:
        return self.line("system", seconds, subtype=subtype, **changes)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "claude")


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return Path(__file__).resolve().parents[1] / "fixtures" / "claude_code"


@pytest.fixture(scope="session")
def new_ledger() -> type[MemoryLedger]:
    return MemoryLedger


@pytest.fixture(scope="session")
def new_namer() -> type[PlainNamer]:
    return PlainNamer


@pytest.fixture(scope="session")
def new_lines() -> type[Lines]:
    return Lines
