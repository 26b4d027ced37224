"""What a shell is told when somebody presses Tab: fast, without the network, and never an error.

The shell's script calls `telemhq LINE [BREAKS]` with `_TELEMHQ_COMPLETE` set to its name. LINE is
what stands before the cursor as it was typed, BREAKS is bash's COMP_WORDBREAKS.
"""

from __future__ import annotations

import _thread
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_cli.completion import known, place, spelling, typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemhq_cli.completion.place import Wanted
    from telemhq_cli.completion.spelling import Offer

MOST = 400
"""More than that nobody reads, and a shell asks before it shows them."""

LONGEST_S = 2.0
"""Whatever does not answer by then, such as a disk that has gone, is waited for no longer."""


def run(shell: str, arguments: Sequence[str]) -> int:
    """Answer a shell; return 0, whatever happens: a mistake must not show in what is typed."""
    try:
        line, breaks = [*arguments, "", ""][:2]
        with _in_time():
            answer = "".join(f"{one}\n" for one in answers(shell, line, breaks))
        sys.stdout.buffer.write(answer.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
    except (
        Exception
    ):  # whoever types sees no traceback; with this variable he who looks for it does
        if os.environ.get("TELEMHQ_DEBUG"):
            raise
    return 0


@contextmanager
def _in_time() -> Iterator[None]:
    """End this process, without a word, once what is done in here takes too long.

    By a thread: no signal's handler would run while SQLite waits for a file to open.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def watch() -> None:
        if not done.acquire(timeout=LONGEST_S):
            os._exit(0)

    _thread.start_new_thread(watch, ())
    try:
        yield
    finally:
        done.release()


def answers(shell: str, line: str, breaks: str = "") -> Iterator[str]:
    """Yield the lines of an answer: what kind it is, then what may be meant."""
    said = typed.read(line, breaks=breaks if shell == "bash" else "", is_fish=shell == "fish")
    wanted = place.wanted(known.commands(), said.words[1:], said.word)
    if wanted.kind == "files":
        yield spelling.FILES
        return
    yield spelling.VALUES
    found = list(_matching(wanted, said.word))[:MOST]
    yield from spelling.bash(found, said) if shell == "bash" else spelling.described(found)


def _matching(wanted: Wanted, word: str) -> Iterator[Offer]:
    from telemhq_cli.completion import names  # noqa: PLC0415 - not for the commands themselves

    yield from (one for one in wanted.offers if one[0].startswith(word))
    if not wanted.kind:
        return
    begun = word[len(wanted.prefix) :]
    for value, about in names.offers(wanted, begun):
        if value.startswith(begun) and _can_be_typed(value):
            yield wanted.prefix + value, about


def _can_be_typed(value: str) -> bool:
    """Tell whether a value is one that a line of a terminal can hold, and no option by its looks."""
    return bool(value) and value.isprintable() and not value.startswith("-")
