"""One tracker, told what happens to it: the state machine with a memory of all that it said."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from server_stub.domain.health import (
    Alert,
    Health,
    Memory,
    Step,
    Transition,
    after_pause,
    after_resume,
    after_rules,
    after_run,
    after_start,
    after_tick,
)
from server_stub.domain.judging import Judge, judge_of
from server_stub.domain.rules import check_rules, write
from server_stub.domain.run import RunFacts
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.ping import KIND_START
from telemhq_agents.contract.rules import Rules

if TYPE_CHECKING:
    from server_stub.domain.judging import Judged

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


def at(text: str, zone: str = "UTC") -> int:
    """Read `2026-11-20T03:00` (of a zone) as milliseconds."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp() * 1000)


NOON = at("2026-11-20T12:00")


@dataclass
class Patient:
    """A tracker under these rules. Every event takes the moment at which it happens."""

    rules: Rules
    health: Health = field(default_factory=Health)
    transitions: list[Transition] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    up_since_ms: int = 0
    runs: int = 0

    @property
    def judge(self) -> Judge:
        return judge_of(write(check_rules(self.rules)))

    @property
    def state(self) -> str:
        return self.health.state.value

    @property
    def memory(self) -> Memory:
        return self.health.memory

    @property
    def story(self) -> list[tuple[str, str, int]]:
        """State before, state after and the moment of each transition."""
        return [(one.before.value, one.after.value, one.at_ms) for one in self.transitions]

    @property
    def told(self) -> list[tuple[str, int, str]]:
        """What each alert tells, when it goes out, and why not."""
        return [
            (one.event.value.removeprefix("tracker."), one.deliver_ms, one.withheld)
            for one in self.alerts
        ]

    def run(
        self,
        now_ms: int,
        *,
        ok: bool = True,
        ended_ms: int | None = None,
        took_ms: int | None = None,
        key: str = "",
        **fields: Any,
    ) -> Judged:
        self.runs += 1
        ended = now_ms if ended_ms is None else ended_ms
        facts = RunFacts(
            ended_ms=ended,
            amounts=Amounts(runs=1, failures=int(not ok), duration_ms=took_ms or 0),
            status="" if ok else "error",
            has_duration=took_ms is not None,
            pair_key=key,
        )
        judged, step = after_run(self.health, self.judge, facts, fields, self.runs, now_ms)
        self._take(step)
        return judged

    def start(self, now_ms: int, *, started_ms: int | None = None, key: str = "") -> None:
        self.runs += 1
        began = now_ms if started_ms is None else started_ms
        facts = RunFacts(ended_ms=began, amounts=Amounts(), kind=KIND_START, pair_key=key)
        self._take(after_start(self.health, self.judge, facts, self.runs, now_ms))

    def tick(self, now_ms: int) -> None:
        self._take(after_tick(self.health, self.judge, now_ms, self.up_since_ms))

    def wait(self, until_ms: int) -> None:
        """Let time pass as the sweep does: it looks whenever it is woken."""
        before_ms = -1
        while (woken_ms := self.health.wake_ms) is not None and woken_ms <= until_ms:
            assert woken_ms > before_ms
            before_ms = woken_ms
            self.tick(woken_ms)

    def change(self, now_ms: int, rules: Rules) -> None:
        self.rules = rules
        self._take(self._recalling(after_rules(self.health, self.judge, now_ms), now_ms))

    def pause(self, now_ms: int) -> None:
        self._take(self._recalling(after_pause(self.health, now_ms), now_ms))

    def resume(self, now_ms: int) -> None:
        self._take(after_resume(self.health, self.judge, now_ms))

    def _recalling(self, step: Step, now_ms: int) -> Step:
        """Take back what waits for its time, as the store does."""
        if step.recalled:
            self.alerts = [
                msgspec.structs.replace(one, withheld=step.recalled)
                if one.deliver_ms > now_ms and not one.withheld
                else one
                for one in self.alerts
            ]
        return step

    def _take(self, step: Step) -> None:
        kept = msgspec.json.encode(step.health.memory)
        assert msgspec.json.decode(kept, type=Memory) == step.health.memory
        for alert in step.alerts:
            assert alert.transition is None or alert.transition < len(step.transitions)
        self.health = step.health
        self.transitions += step.transitions
        self.alerts += step.alerts
