"""What mail says: a subject, a text and the same as HTML, from what a delivery was born with.

The same delivery always makes the same letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from server_stub.domain.message import (
    ALERT_LETTER,
    INVITATION_LETTER,
    AlertFacts,
    headline,
    sentences,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SUBJECT = 200
LARGEST_PAYLOAD = 4000
"""Characters of a run's payload that a letter shows."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail's content. `html` is a whole document."""

    subject: str
    text: str
    html: str


def letter(content: Mapping[str, Any], *, stop_link: str = "") -> Letter:
    """Write the letter of a delivery's content.

    `stop_link` unsubscribes whoever reads it. A letter that is ready made brings its `subject`,
    its `text`, and its `html`, which goes into the page's body as it is.
    """
    around = {"stop_link": stop_link}
    match content.get("letter"):
        case kind if kind == ALERT_LETTER:
            return _alert(msgspec.convert(content["facts"], AlertFacts), around)
        case kind if kind == INVITATION_LETTER:
            subject = f"{content['inviter']} invites you to {content['team']}"
            return _rendered(kind, subject, {**content, **around})
        case _:
            return _rendered("ready", str(content["subject"]), {**content, **around})


def one_line(text: str, longest: int = LONGEST_SUBJECT) -> str:
    """Return text as a header may hold it: no line breaks, no control characters, not too long."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    flat = " ".join(visible.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def _alert(facts: AlertFacts, around: Mapping[str, Any]) -> Letter:
    words = {
        **around,
        "facts": facts,
        "headline": headline(facts),
        "sentences": sentences(facts),
        "payload": _shown_payload(facts),
        "command": f"telemhq tracker show {facts.tracker_id}",
    }
    return _rendered("alert", headline(facts), words)


def _shown_payload(facts: AlertFacts) -> str:
    if facts.run is None or not facts.run.payload:
        return ""
    compact = msgspec.json.encode(facts.run.payload)
    shown = msgspec.json.format(compact, indent=2).decode()
    return shown if len(shown) <= LARGEST_PAYLOAD else shown[:LARGEST_PAYLOAD] + "\n…"


def _rendered(kind: str, subject: str, words: Mapping[str, Any]) -> Letter:
    line = one_line(subject)
    text, html = (
        _environment().get_template(f"{kind}.{form}").render(words, subject=line)
        for form in ("txt", "html")
    )
    return Letter(line, text, html)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("server_stub.notify"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
