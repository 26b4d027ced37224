"""Which lines of a session's transcripts were counted, and by which rule the others were not.

Lines go through the fold that counts, one at a time, and what it makes of each is merged as the
ledger merges it: what is said here cannot differ from the sums.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from claude_code_hooks import transcript
from claude_code_hooks.decode import SYNTHETIC_MODEL, BadLineError, Line, decode, last_write
from claude_code_hooks.fold import TranscriptFold
from claude_code_hooks.read import read
from claude_code_hooks.scan import ChangedLog, changed
from claude_code_hooks.sighting import OF_COPY, merged, rank_of
from claude_code_hooks.state import FoldState
from telemhq_agents import tail
from telemhq_agents.collecting import FIGURES, Explained, Nowhere, Verdict
from telemhq_agents.usage import UsageFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Rule(StrEnum):
    """Why a line was counted or not; the sentences of docs/explanation/counting.md."""

    FIRST = "the first line of a reply"
    LOWER_BOUND = "the first line of a reply, whose output is a lower bound"
    GREW = "a line that tells more than the reply's lines before it"
    BLOCK = "another line of a reply, with the usage of those before it"
    COPY = "a copy of a reply, in another session's transcript"
    COPIED = "a copy of another session's reply"
    REPLAY = "a side question's or sub-agent's copy of a reply"
    SYNTHETIC = "written by Claude Code in the model's place"
    NO_FIGURES = "a reply that tells no usage"
    ECHO = "a sub-agent's progress, which has a transcript of its own"
    RESULT = "a sub-agent's result, which has a transcript of its own"
    OWN_TOTAL = "the session's own running total"
    ELSEWHERE = "usage that stands beside the replies"
    BAD = "a line that cannot be understood"


def explain(session_id: str, homes: Sequence[Path]) -> Iterator[Explained]:
    """Yield every line that speaks of usage of this session, or stands in its transcripts.

    The session's own transcript comes first, then its sub-agents', then other sessions' with copies
    of its replies. For each fact, the last line that was counted or grew tells what the ledger
    holds. A log that is gone, or not ours to read, gives nothing.
    """
    found, problems = transcript.discover(homes)
    survey = _survey(session_id, changed(found, {}, problems))
    told = _Facts()
    for log in sorted(survey.logs, key=survey.distance):
        is_own = survey.is_own(log)
        try:
            for line in _lines(log, survey, told):
                if is_own or line.session_id == session_id:
                    yield line
        except OSError:
            continue


class _Survey(NamedTuple):
    """All that the logs amount to, and those of them that have to do with one session."""

    session_id: str
    facts: _Facts
    logs: list[ChangedLog]
    workers: set[str]
    """Keys of the files in which the session's own replies stand."""

    def is_own(self, log: ChangedLog) -> bool:
        """Tell whether the log is the session's, or that of a sub-agent which worked for it."""
        path = log.each.path
        is_named = path.stem == self.session_id or self.session_id in path.parts
        return is_named or log.each.file_key in self.workers

    def distance(self, log: ChangedLog) -> tuple[bool, bool, int, str]:
        """Return what orders logs: the session's own first, then as they are booked."""
        is_main = log.each.path.stem == self.session_id
        return not is_main, not self.is_own(log), log.seen.mtime_ns, log.each.file_key


def _survey(session_id: str, logs: Sequence[ChangedLog]) -> _Survey:
    facts = _Facts()
    sighted: list[tuple[ChangedLog, set[str]]] = []
    workers: set[str] = set()
    for log in logs:
        keys = set()
        for part in read(log.each, log.seen, None, Nowhere(), 0):
            for fact in part.facts:
                keys.add(fact.key)
                facts.add(fact)
                if fact.session_id == session_id and fact.precedence < OF_COPY:
                    workers.add(log.each.file_key)
        sighted.append((log, keys))
    survey = _Survey(session_id, facts, [], workers)
    for log, keys in sighted:
        if survey.is_own(log) or any(facts[key].session_id == session_id for key in keys):
            survey.logs.append(log)
    return survey


class _Facts(dict[str, UsageFact]):
    """Facts by key, merged as the ledger merges them: whose one is, its leading sighting decides."""

    def __init__(self) -> None:
        super().__init__()
        self._ranks: dict[str, tuple[int, int]] = {}

    def add(self, seen: UsageFact) -> UsageFact:
        """Add a sighting and return the fact."""
        known, rank = self.get(seen.key), rank_of(seen)
        leads = known is None or rank < self._ranks[seen.key]
        if leads:
            self._ranks[seen.key] = rank
        self[seen.key] = seen if known is None else merged(known, seen, seen_leads=leads)
        return self[seen.key]


def _lines(log: ChangedLog, survey: _Survey, told: _Facts) -> Iterator[Explained]:
    path = log.each.path
    fold = TranscriptFold(FoldState(), Nowhere(), path.stem, log.seen.mtime_ns // 1_000_000)
    for number, line in enumerate(tail.lines(path), start=1):
        yield from _line(_Position(path, number, path.stem), line.data, fold, survey, told)


class _Position(NamedTuple):
    """Where a line stands; `session_id` is the file's own, for lines that name none."""

    path: Path
    line: int
    session_id: str


def _line(
    at: _Position,
    data: bytes,
    fold: TranscriptFold,
    survey: _Survey,
    told: _Facts,
) -> Iterator[Explained]:
    """Tell of a line, and of what a later writer put behind it where its writer never finished."""
    try:
        line = decode(data)
        fold.take(line)
    except BadLineError:
        if data.strip():
            yield _passed_over(at, Rule.BAD, None, fold.state.last_ms)
        rest = last_write(data)
        if rest is not None:
            yield from _line(at, rest, fold, survey, told)
        return
    sightings, _, _ = fold.drain()
    for seen in sightings:
        owner = survey.facts[seen.key]
        if owner.session_id == survey.session_id:
            yield _sighted(at, seen, owner, told)
        else:
            yield _shown(at, seen, owner, Verdict.SKIPPED, Rule.COPIED)
    rule = None if sightings else _rule_of(line, data)
    if rule is not None:
        yield _passed_over(at, rule, line, fold.state.last_ms)


def _sighted(at: _Position, seen: UsageFact, owner: UsageFact, told: _Facts) -> Explained:
    """Tell of a line of one of the session's facts; `owner` is what all logs made of the fact."""
    before = told.get(seen.key)
    now = told.add(seen)
    if before is None:
        rule = Rule.LOWER_BOUND if seen.estimate else Rule.FIRST
        return _shown(at, seen, owner, Verdict.COUNTED, rule)
    if _figures(now) != _figures(before):
        return _shown(at, now, owner, Verdict.GREW, Rule.GREW)
    if owner.session_id != seen.session_id or seen.precedence >= OF_COPY > owner.precedence:
        rule = Rule.COPY
    else:
        rule = Rule.REPLAY if seen.precedence > owner.precedence else Rule.BLOCK
    return _shown(at, seen, owner, Verdict.SKIPPED, rule)


def _shown(
    at: _Position, fact: UsageFact, owner: UsageFact, verdict: Verdict, rule: Rule
) -> Explained:
    return Explained(
        *at[:2],
        fact.at_ms,
        verdict,
        rule.value,
        fact.key,
        owner.session_id,
        fact.model,
        fact.input_tokens,
        fact.cached_input_tokens,
        fact.cache_write_tokens,
        fact.output_tokens,
        fact.reasoning_tokens,
        fact.estimate,
    )


def _figures(fact: UsageFact) -> tuple[object, ...]:
    return tuple(getattr(fact, name) for name in (*FIGURES, "estimate"))


def _passed_over(at: _Position, rule: Rule, line: Line | None, at_ms: int) -> Explained:
    session = (line.request_session_id or line.session_id if line else None) or at.session_id
    message = line.message if line else None
    model = (message.model or "") if message else ""
    return Explained(*at[:2], at_ms, Verdict.SKIPPED, rule.value, session_id=session, model=model)


def _rule_of(line: Line, data: bytes) -> Rule | None:
    """Return why a line that is no sighting does not count, None where it speaks of no usage."""
    match line.type:
        case "assistant":
            is_synthetic = line.message is not None and line.message.model == SYNTHETIC_MODEL
            return Rule.SYNTHETIC if is_synthetic else Rule.NO_FIGURES
        case "cost-state":
            return Rule.OWN_TOTAL
        case "progress":
            return Rule.ECHO if _has_usage(data) else None
        case "user":
            return Rule.RESULT if _has_usage(data) else None
        case _:
            return Rule.ELSEWHERE if _has_usage(data) else None


def _has_usage(data: bytes) -> bool:
    """Tell whether an object of the line has usage; a text that quotes one has not."""
    if b'"usage"' not in data:
        return False
    try:
        return _holds_usage(json.loads(data))
    except (ValueError, RecursionError):
        return False


def _holds_usage(value: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return isinstance(value.get("usage"), dict) or any(map(_holds_usage, value.values()))
    return isinstance(value, list) and any(map(_holds_usage, value))
