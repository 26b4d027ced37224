from __future__ import annotations

import json
import re
from typing import Any

SCHEMA = re.compile(r"telemhq(\.[a-z]+(-[a-z]+)*)?/[1-9]\d*")


def opened(text: str | bytes) -> Any:
    """Read what a command prints with --json: one envelope, of which the shape is looked at."""
    envelope = json.loads(text)
    assert list(envelope) == ["schema", "data", "messages", "error"]
    assert SCHEMA.fullmatch(envelope["schema"]), envelope["schema"]
    for message in envelope["messages"]:
        assert set(message) == {"level", "text"}
        assert message["level"] == "warning"
        assert message["text"].strip()
    if envelope["error"] is not None:
        assert list(envelope["error"])[:4] == ["kind", "message", "next_step", "exit_code"]
    return envelope


def data_of(text: str | bytes) -> Any:
    """Read what a command that went well had to tell: its data."""
    envelope = opened(text)
    assert envelope["error"] is None
    return envelope["data"]
