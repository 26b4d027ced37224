"""What a fake model does: plays that a prompt names, and the usage that each answer reports. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

NAMED = re.compile(r"\bplay:([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with a text, which ends the turn."""

    text: str = "done"


@dataclass(frozen=True, slots=True)
class Shell:
    """Ask for a shell command to be run."""

    command: str


@dataclass(frozen=True, slots=True)
class Delegate:
    """Ask for a sub-agent that is given a play of its own, and for its end where it can wait."""

    play: str
    in_background: bool = False


@dataclass(frozen=True, slots=True)
class Await:
    """Ask for the end of the sub-agent that was begun last (Codex)."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an HTTP error and no usage."""

    status: int


@dataclass(frozen=True, slots=True)
class Stall:
    """Begin an answer and never end it: somebody kills the program meanwhile."""


Step = Say | Shell | Delegate | Await | Refuse | Stall
Plays = dict[str, tuple[Step, ...]]

SUMMARY = Say("<analysis>It was short.</analysis>\n<summary>Nothing was left to do.</summary>")

REPERTOIRE: Plays = {
    "plain": (Say("hello"),),
    "tools": (Shell("true"), Shell("exit 3"), Say("did it")),
    "child": (Shell("true"), Say("the part is done")),
    "parent": (Delegate("child"), Await(), Say("all parts are done")),
    "background": (Delegate("child", in_background=True), Say("it is on its way"), Say("it came")),
    "refused": (Refuse(400),),
    "stalled": (Shell("true"), Stall()),
    "forty": (*(Shell("true") for _ in range(40)), Say("forty")),
}


class Purpose(StrEnum):
    """What a program asked for: its user's turn, or something about the talk behind his back."""

    TURN = "turn"
    COMPACTION = "compaction"
    TITLE = "title"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: what for, the play of its latest prompt, and how many answers that has had."""

    model: str
    purpose: Purpose
    play: str = ""
    answered: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `fresh` is input outside the cache; output includes reasoning."""

    fresh: int = 0
    cached: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def cache_write(self) -> int:
        """Input that was written to a cache, for five minutes or an hour."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def input(self) -> int:
        """All input, cache reads and writes included."""
        return self.fresh + self.cached + self.cache_write


def named_play(text: str) -> str:
    """Return the play that a prompt names last, "" where it names none."""
    names = NAMED.findall(text)
    return names[-1] if names else ""


def step_of(plays: Plays, asked: Asked) -> Step:
    """Return what to do now; whatever asks beyond the end of its play is told that it is over."""
    match asked.purpose:
        case Purpose.COMPACTION:
            return SUMMARY
        case Purpose.TITLE:
            return Say('{"title": "A play"}')
        case Purpose.TURN:
            steps = plays.get(asked.play, ())
            return steps[asked.answered] if asked.answered < len(steps) else Say("over")


def claude_usage(number: int) -> Usage:
    """Return the usage of the n-th request: no two alike, every kind of cache used."""
    return Usage(
        fresh=100 + number,
        cached=20_000 + 13 * number,
        cache_write_5m=10 * number,
        cache_write_1h=20 * number,
        output=300 + 7 * number,
    )


def codex_usage(number: int) -> Usage:
    """Return the usage of the n-th request: no two alike, with cache reads and reasoning."""
    return Usage(
        fresh=1_000 + 11 * number,
        cached=500 + number,
        output=50 + 3 * number,
        reasoning=5 + number,
    )
