"""The ids in a rollout: what they tell of time and descent, and the keys made of them. Pure."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from codex_watcher.decode import SessionMeta
    from codex_watcher.spend import Parts


def turn_key(thread: str, turn_id: str) -> str:
    """Return the key that a turn has in every ledger."""
    return f"codex:{thread}:{turn_id}"


def uuid7_ms(text: str) -> int | None:
    """Return the time a UUIDv7 was made (RFC 9562, section 5.7), None for any other id."""
    try:
        made = UUID(text)
    except ValueError:
        return None
    return made.int >> 80 if made.version == 7 else None  # noqa: PLR2004 - the version's number


def names_parent(meta: SessionMeta) -> bool:
    """Tell whether a first line says that its thread came out of another one."""
    history = (meta.history_base or {}).get("thread_id", meta.id)
    # A thread that a person began names its program; any other's source is an object.
    made_by_thread = isinstance(meta.source, dict)
    is_child = bool(meta.forked_from_id or meta.parent_thread_id)
    return is_child or made_by_thread or history != meta.id


def count_key(thread: str, moment: str | int, total: Parts) -> str:
    """Return the key of a response without an id; what is in it survives a rewrite of the log.

    It is a digest of the JSON array `[thread, moment, total]` as `json.dumps` writes it.
    """
    named = f"{_quoted(thread)}, {moment if isinstance(moment, int) else _quoted(moment)}"
    source = b"[%b, [%d, %d, %d, %d, %d]]" % (named.encode(), *total)
    return f"codex:count:{hashlib.sha256(source).hexdigest()[:40]}"


@lru_cache(maxsize=64)
def _quoted(name: str) -> str:
    return json.dumps(name)
