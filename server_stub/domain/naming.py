"""What people may call themselves, their teams, trackers and keys; how ids are read. Pure."""

from __future__ import annotations

import re

from telemhq_agents.errors import UsageError

MAX_NAME_LENGTH = 100
MAX_EMAIL_LENGTH = 254
"""Characters of an address, by RFC 5321 and its erratum 1690."""

_ID_LIMIT = 1 << 63
_EMAIL = re.compile(r"[^@\s<>(),;:\"\\]+@[^@\s<>(),;:\"\\.]+(\.[^@\s<>(),;:\"\\.]+)*")


def clean_name(text: str) -> str:
    """Return a name with its outer blanks taken off.

    Raises UsageError when nothing is left, when it is longer than 100 characters, or when it
    holds control characters, which would spoil a terminal's table.
    """
    name = text.strip()
    if not name:
        raise UsageError("the name is empty", "Give a name of 1 to 100 characters.")
    if len(name) > MAX_NAME_LENGTH:
        raise UsageError(
            f"the name has {len(name)} characters", "Give a name of 1 to 100 characters."
        )
    if not name.isprintable():
        raise UsageError("the name holds control characters", "Give a name of printable text.")
    return name


def clean_email(text: str) -> str:
    """Return an address in the form it is stored and compared: stripped, in lower case.

    Raises UsageError when it is no address.
    """
    email = text.strip().lower()
    if len(email) > MAX_EMAIL_LENGTH or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise UsageError(
            f"{text.strip()[:MAX_EMAIL_LENGTH]!r} is not an e-mail address",
            "Give an address such as ada@example.com.",
        )
    return email


def read_id(text: str) -> int | None:
    """Read an id; None where the text cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_ID_LIMIT))):
        return None
    number = int(text)
    return number if number < _ID_LIMIT else None
