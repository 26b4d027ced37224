"""Pages as scripts: the command blocks of a page, and what is a match for the output that it shows. Pure.

A block is a fence of the kind `console`: lines that begin with `$ ` are typed, what follows is the
output that the page shows. `…` in it stands for what varies; a line of nothing else for any number
of lines. What a word with `…` turned out to be is typed wherever the page says that word again. A
comment before the fence may tell more, `<!-- test: … -->`: `terminal=NAME` (another window of the
same person), `person=NAME` (somebody with a home of their own), `stays` (the last command goes on),
`answers=WORD` (typed where it asks), `exit=CODE` (of the last command), `dry-run` (typed as
`make --dry-run`), `skip="why"` (not typed at all).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

_FENCE = re.compile(
    r"(?:^<!-- test: (?P<told>[^\n]*) -->\n)?^```(?P<kind>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_VARYING = re.compile(r"\S*…\S*")
_KNOWN = frozenset({"terminal", "person", "stays", "answers", "exit", "dry-run", "skip"})


@dataclass(frozen=True, slots=True)
class Step:
    """One command and the output that the page shows of it, "" where it shows none.

    `at` is where the output begins in the page.
    """

    command: str
    output: str
    at: int


@dataclass(frozen=True, slots=True)
class Block:
    """One fence: its kind, what the comment before it tells, its commands."""

    kind: str
    told: Mapping[str, str]
    steps: tuple[Step, ...]


def blocks(page: str) -> list[Block]:
    """Return every fence of a page that has a kind, in order."""
    return [
        Block(
            match["kind"],
            _told(match["told"] or ""),
            tuple(_steps(match["body"], match.start("body"))),
        )
        for match in _FENCE.finditer(page)
    ]


def _told(text: str) -> dict[str, str]:
    told = {name: value for name, _, value in (word.partition("=") for word in shlex.split(text))}
    unknown = told.keys() - _KNOWN
    if unknown:
        raise ValueError(f"a page tells {sorted(unknown)} of a block; known are {sorted(_KNOWN)}")
    return told


def _steps(body: str, at: int) -> list[Step]:
    found: list[Step] = []
    for line in body.splitlines(keepends=True):
        at += len(line)
        last = found[-1] if found else None
        if line.startswith("$ "):
            found.append(Step(line[2:-1], "", at))
        elif last and last.command.endswith("\\") and not last.output:
            found[-1] = Step(f"{last.command}\n{line[:-1].removeprefix('> ')}", "", at)
        elif last:
            found[-1] = Step(last.command, last.output + line, last.at)
    return found


def matched(shown: str, output: str) -> dict[str, str] | None:
    """Return what the words that vary turned out to be; None where output is not what is shown."""
    words: list[str] = []
    lines = [_any_line(line, words) for line in shown.strip("\n").split("\n")]
    found = re.fullmatch("".join(lines), output.strip("\n") + "\n")
    return None if found is None else dict(zip(words, found.groups(), strict=True))


def _any_line(line: str, words: list[str]) -> str:
    return r"(?:.*\n)*?" if line.strip() == "…" else _line(line, words)


def _line(line: str, words: list[str]) -> str:
    made, at = "", 0
    for match in _VARYING.finditer(line):
        made += re.escape(line[at : match.start()])
        if match[0] == "…":
            made += ".*?"
        else:
            words.append(match[0])
            made += "(" + r"\S*?".join(re.escape(part) for part in match[0].split("…")) + ")"
        at = match.end()
    return made + re.escape(line[at:].rstrip()) + "[ ]*\n"


def filled(text: str, known: Mapping[str, str]) -> str:
    """Return a text of the page with the words that vary as they turned out."""
    for word in sorted(known, key=len, reverse=True):
        text = text.replace(word, known[word])
    return text


def reshown(shown: str, output: str) -> tuple[str, dict[str, str]]:
    """Return what a page should show of an output, and what the words that vary turned out to be.

    Lines that are still right stay as the page has them, with their `…`.
    """
    lines: list[str] = []
    known: dict[str, str] = {}
    for line in output.strip("\n").split("\n"):
        for old in shown.strip("\n").split("\n"):
            found = matched(old, line) if old.strip() not in {"", "…"} else None
            if found is not None:
                lines.append(old)
                known |= found
                break
        else:
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n", known
