"""What assertions would have said of runs that are there already. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server_stub.domain.judging import asserted
from telemhq_agents.contract.rules import Severity, Verdict, Verdicted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from telemhq_agents.contract.rules import Assertion


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as it was recorded; `ended_ms` is UTC."""

    id: int
    ended_ms: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRun:
    """A run of which some assertions did not hold; `failed` where one of them fails its run."""

    run: PastRun
    failed: bool
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """The runs of which not every assertion holds, of those that were `looked_at`."""

    looked_at: int
    broken: tuple[BrokenRun, ...]


def replay(
    assertions: Sequence[Assertion],
    runs: Iterable[PastRun],
    has_time: Callable[[], bool] = lambda: True,
) -> Replay:
    """Try assertions on runs, in the order they come, for as long as there is time."""
    judges = [asserted(assertion) for assertion in assertions]
    looked_at = 0
    found = []
    for run in runs:
        if not has_time():
            break
        looked_at += 1
        verdicts = [judge(run.payload) for judge in judges]
        broken = tuple(one for one in verdicts if one.verdict is Verdicted.BROKEN)
        if broken:
            failed = any(one.severity is Severity.FAIL for one in broken)
            found.append(BrokenRun(run, failed, broken))
    return Replay(looked_at, tuple(found))
