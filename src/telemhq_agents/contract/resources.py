"""The nouns of `/api/v1`, as JSON: ids are strings, times are RFC 3339 UTC with a `Z`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from telemhq_agents.contract.rules import Verdict


class Role(StrEnum):
    """What a member may do in an account."""

    OWNER = "owner"
    MANAGER = "manager"
    MEMBER = "member"


class TrackerState(StrEnum):
    """How a tracker is doing: active is on time, late is within its grace; people set paused."""

    NEW = "new"
    ACTIVE = "active"
    LATE = "late"
    FAILING = "failing"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant, personal or team, as the caller sees it."""

    id: str
    kind: str
    name: str
    timezone: str
    role: Role


@dataclass(frozen=True, slots=True)
class Me:
    """Who the API key belongs to, the accounts they are in, and the one used by default."""

    id: str
    email: str
    name: str
    default_account: str
    accounts: list[Account]


@dataclass(frozen=True, slots=True)
class NamingKey:
    """The key under which an account's members hash project names, so that equal ones still join."""

    naming_key: str


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """An API key in full: shown once, stored only as a digest."""

    id: str
    name: str
    api_key: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret."""

    id: str
    name: str
    prefix: str
    created_at: str
    last_used_at: str | None = None
    revoked_at: str | None = None


@dataclass(frozen=True, slots=True)
class Tracker:
    """A tracker; `ping_url` is its only credential, `owner` the e-mail its runs are booked on.

    `due_at` is when a ping is expected, `schedule` says it in words ("" for an ad hoc tracker),
    `cause` why the tracker came into its state.
    """

    id: str
    account: str
    name: str
    ping_url: str
    state: TrackerState
    owner: str
    created_at: str
    device_id: str = ""
    source: str = ""
    last_run_at: str | None = None
    last_status: str = ""
    runs: int = 0
    due_at: str | None = None
    schedule: str = ""
    rules_revision: int = 0
    failing_since: str | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One stored run (or correction) with its payload as it was sent.

    `outcome` is passed, warned or failed, as the run was judged when it came; "" where it was not.
    """

    id: str
    kind: str
    received_at: str
    ended_at: str
    status: str
    failed: bool
    provider: str
    model: str
    project: str
    source: str
    session_id: str
    thread_id: str
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_usd: float | None
    duration_ms: int | None
    payload: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    verdicts: list[Verdict] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, newest first; `next_cursor` asks for the page after, absent on the last one."""

    runs: list[Run]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an account."""

    id: str
    email: str
    name: str
    role: Role
    state: str
    joined_at: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation. `link` is whole in the answer that made it, never again."""

    id: str
    team: str
    team_name: str
    email: str
    role: Role
    invited_by: str
    expires_at: str
    link: str = ""
    accepted_at: str | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to an accepted invitation; `api_key` only for somebody who had no user yet."""

    account: Account
    email: str
    api_key: str | None = None
