"""trackers.toml: read with every mistake named by its line, and written the same each time."""

from __future__ import annotations

import json
import math
import re
import tomllib
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import msgspec
import tomli_w

from telemhq_agents.contract.judging import FileTracker, TrackerFile
from telemhq_agents.contract.rules import (
    Alerting,
    Assertion,
    Channel,
    Schedule,
    Summary,
    Window,
)
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import did_you_mean
from telemhq_cli.toml_lines import line_of, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from telemhq_agents.errors import RefusedError

PAGE = "docs/reference/rules.md names every key"
SHOWN_MISTAKES = 10
LARGEST_WHOLE = (1 << 63) - 1
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_ITEM = re.compile(r"\[\d+\]")
_TRACKER = re.compile(r"^trackers\[(?P<at>\d+)\]\.?(?P<rest>.*)$")
_SHAPES: Mapping[str, type] = {
    "": TrackerFile,
    "trackers": FileTracker,
    "trackers.schedule": Schedule,
    "trackers.assertions": Assertion,
    "trackers.maintenance": Window,
    "trackers.alerting": Alerting,
    "trackers.alerting.channels": Channel,
    "trackers.summary": Summary,
}
"""What each table of the file is, by its path without the places in lists."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was read: what it says, and where."""

    name: str
    file: TrackerFile
    lines: dict[str, int]


def read(text: str, name: str) -> Written:
    """Read a file of trackers: TOML, or JSON where its name ends so.

    Raises UsageError that names the file, the line, the key and what to write instead.
    """
    document = _parsed(text, name)
    lines = {} if name.endswith(".json") else lines_of(text)
    wrong = [*_unknown("", document), *_unsound("", document)]
    if wrong:
        raise _mistakes(name, lines, _names(document), wrong)
    document.setdefault("trackers", [])
    try:
        file = msgspec.convert(document, TrackerFile)
    except msgspec.ValidationError as error:
        wrong = list(_mistyped(document)) or [_placed("", error)]
        raise _mistakes(name, lines, _names(document), wrong) from error
    return Written(name, file, lines)


def mistakes_of(written: Written, refused: RefusedError) -> UsageError | None:
    """Return what a server refused as mistakes of the file; None where it is about something else."""
    errors = [(one.field, one.message) for one in refused.problem.errors]
    if not any(path.startswith(("trackers[", "version")) for path, _ in errors):
        return None
    names = [one.name for one in written.file.trackers]
    return _mistakes(written.name, written.lines, names, errors)


def text_of(file: TrackerFile, whose: str) -> str:
    """Write a file of trackers: defaults left out, always in the same order.

    Raises UsageError for a value that TOML cannot hold.
    """
    trackers = [_named_first(tracker) for tracker in file.trackers]
    for tracker in trackers:
        if _holds_null(tracker):
            raise UsageError(
                f"{tracker['name']} has an assertion whose value holds null, which TOML cannot.",
                "Export it as JSON: telemhq tracker export --json > trackers.json",
            )
    head = (
        f"# Trackers of {whose}.",
        "# See what applying this would change: telemhq tracker apply FILE --dry-run",
        f"# {PAGE}. What is left out has its default.",
        "# No signing secrets are in here. A webhook's address can be one: keep it as such.",
    )
    body = tomli_w.dumps({"version": file.version, "trackers": trackers})
    return "\n".join([*(line.translate(_ONE_LINE) for line in head), "", body])


_ONE_LINE = dict.fromkeys([*range(32), 127], " ")


def _named_first(tracker: FileTracker) -> dict[str, Any]:
    kept = _sparse(tracker)
    return {"name": kept.pop("name"), **kept}


def _sparse(record: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a record without what has its default."""
    if isinstance(record, list):
        return [_sparse(item) for item in record]
    if not is_dataclass(record):
        return record
    kept = {}
    for field in fields(record):
        value = getattr(record, field.name)
        factory = field.default_factory
        default = field.default if factory is MISSING else factory()
        if default is MISSING or value != default or type(value) is not type(default):
            kept[field.name] = _sparse(value)
    return kept


def _holds_null(value: Any) -> bool:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    if isinstance(value, list):
        return any(map(_holds_null, value))
    return value is None


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        is_json = name.endswith(".json")
        document = json.loads(text) if is_json else _plain(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UsageError(
            f"{name} cannot be read: {str(error) or 'it is nested too deeply'}.",
            "Correct that line.",
        ) from error
    # A file that came to nothing, such as a pipe's whose writer failed, does not mean no trackers.
    if not isinstance(document, dict) or not document:
        raise UsageError(f"{name} holds no trackers.", PAGE)
    return document


def _plain(value: Any) -> Any:  # noqa: ANN401 - TOML
    """Return what TOML holds as JSON's own kinds: its times become text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def _unknown(path: str, document: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Find the keys that no table of their kind has, by path and what to write instead."""
    shape = _SHAPES.get(_ITEM.sub("", path))
    if shape is None:
        return
    if isinstance(document, list):
        for at, item in enumerate(document):
            yield from _unknown(f"{path}[{at}]", item)
    elif isinstance(document, dict):
        known = [field.name for field in fields(shape)]
        for key, value in document.items():
            place = f"{path}.{key}".lstrip(".")
            if key in known:
                yield from _unknown(place, value)
            else:
                yield place, _instead(key, known)


def _mistyped(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find the trackers of another shape than theirs, the first such place of each."""
    listed = document["trackers"]
    for at, tracker in enumerate(listed if isinstance(listed, list) else []):
        try:
            msgspec.convert(tracker, FileTracker)
        except msgspec.ValidationError as error:
            yield _placed(f"trackers[{at}]", error)


def _placed(inside: str, error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the path that an error is about, and what it says."""
    said = str(error)
    place = _PLACE.search(said)
    if place is None:
        return inside, said
    return f"{inside}.{place['path']}".strip("."), said[: place.start()]


def _unsound(path: str, document: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - TOML
    """Find what TOML, or Python's reader of JSON, has and a server cannot keep."""
    match document:
        case dict():
            for key, value in document.items():
                if _is_half(key):
                    yield path, "a key holds half a character"
                else:
                    yield from _unsound(f"{path}.{key}".lstrip("."), value)
        case list():
            for at, item in enumerate(document):
                yield from _unsound(f"{path}[{at}]", item)
        case float() if not math.isfinite(document):
            yield path, f"{document} is no number of JSON"
        case int() if abs(document) > LARGEST_WHOLE:
            yield path, "a whole number has at most 63 bits"
        case str() if _is_half(document):
            yield path, "a text holds half a character"


def _is_half(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _instead(key: str, known: list[str]) -> str:
    return f"no such key{did_you_mean(key, known) or ': ' + ', '.join(known)}"


def _names(document: Mapping[str, Any]) -> list[str]:
    found = document.get("trackers")
    listed = found if isinstance(found, list) else []
    return [str(one.get("name", "")) if isinstance(one, dict) else "" for one in listed]


def _mistakes(
    name: str, lines: dict[str, int], names: list[str], errors: list[tuple[str, str]]
) -> UsageError:
    said = [_mistake(name, lines, names, path, message) for path, message in errors]
    more = len(said) - SHOWN_MISTAKES
    listed = said[:SHOWN_MISTAKES] + ([f"… and {more} more."] if more > 0 else [])
    return UsageError(" ".join(listed), f"Nothing was changed. {PAGE}.")


def _mistake(name: str, lines: dict[str, int], names: list[str], path: str, message: str) -> str:
    line = line_of(lines, path)
    where = f"{name}, line {line}" if line else name
    tracker = _TRACKER.match(path)
    if tracker is not None:
        at = int(tracker["at"])
        whose = names[at] if at < len(names) else ""
        where += f" ({whose})" if whose else f" (tracker {at + 1})"
        path = tracker["rest"]
    end = "" if message.endswith("?") else "."
    return f"{where}: {path}: {message}{end}" if path else f"{where}: {message}{end}"
