"""Numeric fields of payloads: which there are, what they measure, their values. Pure."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server_stub.domain.assertion import number_of
from server_stub.domain.dot_path import LONGEST_PATH, parsed, walk
from telemhq_agents.contract.series import Choice, FieldKind, Number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

DEEPEST = 8
MOST_NAMES = 500
"""Fields that are told apart in one tracker's payloads; what comes after them is left out."""

LARGEST = sys.float_info.max
"""Whole numbers beyond it are no numbers here: most programs could not read them."""

_PLAIN = frozenset({int, float, type(None)})
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPECIAL = re.compile(r"[\\.\[]")
_NO_MEASURES = frozenset(
    {"id", "timestamp", "revision", "primary", "pid", "port", "version", "seed"}
)
_NO_MEASURE_ENDS = ("_at", "_id", "_timestamp", "_version", "_port", "_pid", "_key")
_ENDINGS: tuple[tuple[str, FieldKind, str], ...] = (
    ("tokens", FieldKind.TOKENS, "tokens"),
    ("usd", FieldKind.COST, "USD"),
    ("eur", FieldKind.COST, "EUR"),
    ("cost", FieldKind.COST, ""),
    ("price", FieldKind.COST, ""),
    ("ms", FieldKind.DURATION, "ms"),
    ("millis", FieldKind.DURATION, "ms"),
    ("milliseconds", FieldKind.DURATION, "ms"),
    ("us", FieldKind.DURATION, "µs"),
    ("ns", FieldKind.DURATION, "ns"),
    ("s", FieldKind.DURATION, "s"),
    ("sec", FieldKind.DURATION, "s"),
    ("secs", FieldKind.DURATION, "s"),
    ("seconds", FieldKind.DURATION, "s"),
    ("minutes", FieldKind.DURATION, "min"),
    ("hours", FieldKind.DURATION, "h"),
    ("latency", FieldKind.DURATION, ""),
    ("duration", FieldKind.DURATION, ""),
    ("elapsed", FieldKind.DURATION, ""),
    ("bytes", FieldKind.BYTES, "B"),
    ("kb", FieldKind.BYTES, "kB"),
    ("mb", FieldKind.BYTES, "MB"),
    ("gb", FieldKind.BYTES, "GB"),
    ("percent", FieldKind.RATIO, "%"),
    ("pct", FieldKind.RATIO, "%"),
    ("ratio", FieldKind.RATIO, ""),
    ("rate", FieldKind.RATIO, ""),
    ("score", FieldKind.SCORE, ""),
    ("accuracy", FieldKind.SCORE, ""),
    ("count", FieldKind.COUNT, ""),
    ("total", FieldKind.COUNT, ""),
    ("processed", FieldKind.COUNT, ""),
    ("failed", FieldKind.COUNT, ""),
    ("items", FieldKind.COUNT, ""),
    ("records", FieldKind.COUNT, ""),
    ("rows", FieldKind.COUNT, ""),
    ("errors", FieldKind.COUNT, ""),
    ("failures", FieldKind.COUNT, ""),
    ("retries", FieldKind.COUNT, ""),
    ("responses", FieldKind.COUNT, ""),
    ("requests", FieldKind.COUNT, ""),
)
_BY_WORD = {word: (kind, unit) for word, kind, unit in _ENDINGS}
_WHOLE_NAMES = {"duration": (FieldKind.DURATION, "ms")}
"""A bare `duration` is milliseconds in the ping contract."""

_BARE = frozenset({"s", "us", "ns", "ms"})
"""Words that are a unit only behind another one: a field called `s` is anything."""

_RECOMMENDED_KINDS = frozenset(
    {FieldKind.TOKENS, FieldKind.COST, FieldKind.DURATION, FieldKind.SCORE}
)
_RECOMMENDED_NAMES = frozenset({"items_processed", "items_failed", "records_processed"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a field measures, as far as its name says; `name` is the last one of its path."""

    kind: FieldKind
    unit: str
    recommended: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A field of some payloads: in how many it is, and its value in the first of these.

    `place` is the number of that payload, None where a field was chosen and none has it.
    """

    path: str
    meaning: Meaning
    runs: int = 0
    last: Number | None = None
    place: int | None = None
    choice: Choice | None = None

    @property
    def charted(self) -> bool:
        """Whether it is charted: as its user chose, else where that is recommended."""
        if self.choice is not None:
            return self.choice is Choice.PINNED
        return self.meaning.recommended


def meaning_of(path: str) -> Meaning:
    """Guess from its name what a field measures."""
    name = _HUMP.sub("_", path.rpartition(".")[2]).lower().replace("-", "_")
    kind, unit = _WHOLE_NAMES.get(name) or _kind(name.split("_"))
    recommended = kind in _RECOMMENDED_KINDS or name in _RECOMMENDED_NAMES
    return Meaning(kind, unit, recommended)


def _kind(words: list[str]) -> tuple[FieldKind, str]:
    last = words[-1]
    if last in _BARE and len(words) == 1:
        return FieldKind.NUMBER, ""
    known = _BY_WORD.get(last)
    if known is not None:
        return known
    if words[0] in {"num", "n"} and len(words) > 1:
        return FieldKind.COUNT, ""
    # cost_of_retries, tokens_in
    first = _BY_WORD.get(words[0])
    if first is not None and first[0] in {FieldKind.TOKENS, FieldKind.COST}:
        return first
    return FieldKind.NUMBER, ""


def number_in(value: object, *, texts: bool) -> Number | None:
    """Return a value as a finite number, None where it is none.

    With `texts` also a text that is written like one: forms and query strings hold nothing else.
    """
    if isinstance(value, str) and not texts:
        return None
    number = number_of(value)
    return number if number is not None and -LARGEST <= number <= LARGEST else None


def reads_texts(path: str) -> bool:
    """Tell whether a text counts as a number at a path: where its name says what it measures."""
    return meaning_of(path).kind is not FieldKind.NUMBER


def numbers_at(found: list[Any], steps: tuple[str, ...], path: str) -> list[Number | None]:
    """Return what stands behind these steps of each value as numbers; anything else is a gap.

    `path` is the whole path, whose name says whether texts count.
    """
    for step in steps:
        found = [
            top.get(step) if type(top) is dict else None if top is None else walk((step,), top)
            for top in found
        ]
    if _PLAIN.issuperset(map(type, found)) and _are_in_range(found):
        return found
    texts = reads_texts(path)
    return [None if value is None else number_in(value, texts=texts) for value in found]


def _are_in_range(found: Iterable[Number | None]) -> bool:
    there = list(filter(None, found))
    return not there or (max(there) <= LARGEST and min(there) >= -LARGEST)


def found_fields(
    payloads: Sequence[Mapping[str, Any]], choices: Mapping[str, Choice]
) -> list[Found]:
    """Return the numeric fields of payloads, newest first, and those that were chosen.

    Charted ones come first, pinned before recommended; within these the most frequent.
    """
    found: dict[str, Found] = {}
    for place, payload in enumerate(payloads):
        for path, number in _numbers(payload, "", DEEPEST):
            known = found.get(path)
            if known is not None:
                found[path] = Found(
                    path, known.meaning, known.runs + 1, known.last, known.place, known.choice
                )
            elif len(found) < MOST_NAMES:
                found[path] = Found(path, meaning_of(path), 1, number, place, choices.get(path))
    for path, choice in choices.items():
        if path not in found:
            found[path] = _chosen(path, payloads, choice)
    return sorted(found.values(), key=_order)


def _chosen(path: str, payloads: Sequence[Mapping[str, Any]], choice: Choice) -> Found:
    """Return a field that was chosen and not found by itself, such as one in a list."""
    first, *others = parsed(path)
    numbers = numbers_at([payload.get(first) for payload in payloads], tuple(others), path)
    there = [place for place, number in enumerate(numbers) if number is not None]
    if not there:
        return Found(path, meaning_of(path), choice=choice)
    return Found(path, meaning_of(path), len(there), numbers[there[0]], there[0], choice)


def _order(field: Found) -> tuple[bool, bool, bool, int, str]:
    pinned = field.choice is Choice.PINNED
    return (field.choice is Choice.HIDDEN, not pinned, not field.charted, -field.runs, field.path)


def _numbers(values: Mapping[str, Any], before: str, depth: int) -> Iterator[tuple[str, Number]]:
    for name, value in values.items():
        if not name or not name.isprintable():
            # No path leads there.
            continue
        path = before + _SPECIAL.sub(r"\\\g<0>", name)
        if isinstance(value, dict):
            if depth > 1:
                yield from _numbers(value, path + ".", depth - 1)
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            number = number_in(value, texts=isinstance(value, str) and reads_texts(path))
            if number is not None and _measures(name) and len(path) <= LONGEST_PATH:
                yield path, number


def _measures(name: str) -> bool:
    lowered = _HUMP.sub("_", name).lower()
    return lowered not in _NO_MEASURES and not lowered.endswith(_NO_MEASURE_ENDS)
