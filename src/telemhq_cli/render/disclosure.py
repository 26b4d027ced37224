"""What this machine knows beside what is sent: the tables of `telemhq privacy`. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import to_iso
from telemhq_agents.contract.amounts import usd
from telemhq_agents.settings import Privacy
from telemhq_cli.render.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemhq_agents.ledger.preview import Preview
    from telemhq_agents.prompt_log import Kept

LEFT_OUT = "left out"
STAYS = "stays here"
SHOWN_CHARACTERS = 60
Known = list[tuple[str, str, object]]
"""What it is, its name on the wire ("" for what is never sent), what this machine knows."""


def known(preview: Preview, *, has_remote: bool, prompts: int | None) -> Known:
    """Return what this machine knows of a turn. `prompts` are those logged, None for no log."""
    parcel, amounts = preview.parcel, preview.known.amounts
    logged = "in the agent's own log" if prompts is None else f"and {prompts} in the log of prompts"
    found: Known = [
        ("directory", "cwd_hash", preview.known.cwd),
        ("git remote", "", "its URL, credentials included" if has_remote else "none"),
        ("project", "project", parcel.project),
        ("prompts, replies, commands", "", logged),
        ("agent", "source", parcel.source),
        ("agent's version", "agent_version", preview.known.agent_version),
        ("provider", "provider", parcel.provider),
        ("model", "model", parcel.model),
        ("session", "session_id", parcel.session_id),
        ("thread", "thread_id", parcel.thread_id),
        ("turn", "turn_id", parcel.span),
        ("status", "status", preview.known.status),
        ("ended", "ended_at", to_iso(preview.known.last_ms)),
    ]
    counts = ("responses", "input_tokens", "cached_input_tokens", "cache_write_tokens")
    more = ("output_tokens", "reasoning_tokens", "total_tokens", "unpriced_tokens", "duration_ms")
    found += [(name.replace("_", " "), name, getattr(amounts, name)) for name in (*counts, *more)]
    return [*found, ("cost, USD", "cost_usd", usd(amounts.cost_nano))]


def beside(preview: Preview, rows: Known, level: Privacy) -> Table:
    """Return the table: what is known, and what each level sends of it."""
    sent = {each: json.loads(preview.bodies[each]) for each in (Privacy.METADATA, Privacy.HASHED)}
    columns = (
        Column("field", "What"),
        Column("known", "On this machine", _text),
        Column("metadata", "Sent: metadata", _text),
        Column("hashed", "Sent: hashed", _text),
    )
    names = {name for _, name, _ in rows}
    beyond = [(name, name, None) for body in sent.values() for name in body if name not in names]
    table = [
        (what, value, *(_sent(preview, body, name) for body in sent.values()))
        for what, name, value in [*rows, *dict.fromkeys(beyond)]
        if value not in {"", 0} or any(name in body for body in sent.values())
    ]
    return Table(columns, table, title=_title(preview, level), notes=_notes(preview, level))


def as_json(preview: Preview, rows: Known, level: Privacy) -> dict[str, Any]:
    """Return the preview for programs: the bodies as they would go out, null where none does."""
    bodies = {each.value: json.loads(body) for each, body in preview.bodies.items()}
    return {
        "schema": "telemhq.privacy-preview/1",
        "level": level.value,
        "private": preview.is_kept,
        "known": {what: value for what, _, value in rows},
        "never_sent": [what for what, name, _ in rows if not name],
        "idempotency_key": preview.key,
        "sent": dict.fromkeys(bodies) if preview.is_kept else bodies,
    }


def prompts(entries: Iterable[Kept]) -> Table:
    """Return the log of prompts; people see the beginning of each."""
    columns = (
        Column("at", "At", copied=True),
        Column("source", "Agent"),
        Column("project", "Project", spare=1),
        Column("session", "Session", spare=2),
        Column("prompt", "Prompt", _shortened),
    )
    rows = [(one.at, one.source.value, one.project, one.session, one.prompt) for one in entries]
    return Table(columns, rows, empty="No prompt is logged.")


def _sent(preview: Preview, body: dict[str, Any], name: str) -> object:
    if preview.is_kept:
        return STAYS
    return body.get(name, LEFT_OUT) if name else LEFT_OUT


def _title(preview: Preview, level: Privacy) -> str:
    of = f"one of {preview.pings} pings of " if preview.pings > 1 else ""
    return f"What is known of {of}a turn, and what is sent (this machine's level: {level})"


def _notes(preview: Preview, level: Privacy) -> tuple[str, ...]:
    if preview.is_kept:
        return ("This work is private: it is counted here, and nothing of it is sent.",)
    sent = preview.bodies[level].decode()
    return (
        "The directory is sent as a keyed digest; so is the project's name where names are hashed.",
        "content-redacted sends what metadata does; its log of prompts stays on this machine.",
        f"Sent at this level, with the key {preview.key}:",
        sent,
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _shortened(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
