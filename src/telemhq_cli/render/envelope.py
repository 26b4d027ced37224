"""One JSON document for every command: what came of it, what was warned of, what went wrong.

It is written once, when the command is over, so that a warning or a failure after the answer is in
it too. Imports next to nothing: the wrapper's road leads through here.
"""

from __future__ import annotations

import sys

from telemhq_cli.render import voice

TYPE_CHECKING = False  # typing itself costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

JSON = "--json"
END_OF_OPTIONS = "--"
PROGRAM = "telemhq"
VERSION = 1
_NOTHING = object()


class _Course:
    """What is known so far of the command that runs."""

    __slots__ = ("data", "error", "is_stream", "is_wanted", "words")

    def __init__(self, words: tuple[str, ...] = (), *, is_wanted: bool = False) -> None:
        self.words = words
        self.is_wanted = is_wanted
        self.is_stream = False
        self.data: object = _NOTHING
        self.error: dict[str, Any] | None = None


_course = _Course()


def is_asked_for(arguments: Sequence[str]) -> bool:
    """Tell whether a command line asks for JSON; what follows `--` is somebody else's."""
    own = list(arguments)
    if END_OF_OPTIONS in own:
        del own[own.index(END_OF_OPTIONS) :]
    return JSON in own


def is_wanted() -> bool:
    """Tell whether the command that runs was asked for JSON."""
    return _course.is_wanted


def begin(words: Sequence[str]) -> None:
    """Begin a command that is asked for JSON: from here on its document is kept for `finish`."""
    global _course  # noqa: PLW0603 - one process runs one command
    _course = _Course(tuple(words), is_wanted=True)
    voice.keep_warnings()


def end() -> None:
    """Forget the command: the next one begins anew."""
    global _course  # noqa: PLW0603 - same
    _course = _Course()
    voice.drop_warnings()


def name(words: Sequence[str]) -> None:
    """Say which command it is, as soon as that is known: its words, without options."""
    _course.words = tuple(words)


def show(document: object) -> None:
    """Keep what the command answers; where no command runs, write it at once.

    The last answer counts: a command that is run once more, on a whole ledger, says it again.
    """
    _course.data = document
    if not _course.is_wanted:
        _write()


def show_line(document: object) -> None:
    """Write one object of a stream on a line of its own, at once and without an envelope."""
    _course.is_stream = True
    sys.stdout.write(f"{encoded(document, indent=None)}\n")
    sys.stdout.flush()


def fail(error: dict[str, Any]) -> None:
    """Keep what went wrong: `kind`, `message`, `next_step`, `exit_code` and what else is known."""
    _course.error = error


def finish() -> None:
    """Write the document, where there is one to write; once."""
    if _course.is_wanted and (_course.data is not _NOTHING or _course.error is not None):
        _write()


def made(
    words: Sequence[str],
    data: object,
    warnings: Sequence[str] = (),
    error: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the envelope around what a command answers.

    A document that names its own schema gives it to the envelope; else it is named by the command.
    """
    schema = schema_of(words)
    if isinstance(data, dict) and isinstance(data.get("schema"), str):
        schema = data["schema"]
        data = {key: value for key, value in data.items() if key != "schema"}
    messages = [{"level": "warning", "text": text} for text in warnings]
    return {"schema": schema, "data": data, "messages": messages, "error": error}


def schema_of(words: Sequence[str]) -> str:
    """Return the name of what a command answers: `telemhq.tracker-list/1`."""
    return f"{'.'.join(filter(None, [PROGRAM, '-'.join(words)]))}/{VERSION}"


def line(document: dict[str, Any]) -> str:
    """Return an envelope as one line."""
    return encoded(document, indent=None)


def _write() -> None:
    data = None if _course.data is _NOTHING else _course.data
    whole = made(_course.words, data, voice.kept_warnings(), _course.error)
    text = encoded(whole, None if _course.is_stream else 2)
    _course.data, _course.error = _NOTHING, None
    if sys.stdout is not None:
        sys.stdout.write(f"{text}\n")


def encoded(document: object, indent: int | None = 2) -> str:
    """Return a document as JSON; records become objects."""
    import json  # noqa: PLC0415 - not on the job's road

    return json.dumps(document, indent=indent, ensure_ascii=_is_narrow(), default=_plain)


def _is_narrow() -> bool:
    """Tell whether stdout lacks letters: JSON has its own way to write any of them."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return not encoding.lower().startswith("utf")


def _plain(value: object) -> object:
    import dataclasses  # noqa: PLC0415 - not on the job's road

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
