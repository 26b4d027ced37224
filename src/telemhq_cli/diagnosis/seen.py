"""What `telemhq doctor` looks at, as plain records: findings are told from these alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be looked at, and the command that mends it, if any."""

    message: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """The agent's service file and what its manager says."""

    manager: str
    is_proven: bool
    is_installed: bool
    is_current: bool
    is_active: bool
    answers: bool = True


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """The running agent, as its lock and its status file tell."""

    is_running: bool = False
    pid: int | None = None
    last_pass_ms: int | None = None
    watching_by: str = ""
    why_polling: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HookSeen:
    """Claude Code's hook. `is_current` is whether it runs this very installation.

    Of the `ended` turns since it was installed it announced so many; `silenced_by` tells what keeps
    it from running.
    """

    claude_is_here: bool
    is_installed: bool
    is_current: bool
    settings: str
    ended: int = 0
    announced: int = 0
    silenced_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboxSeen:
    """The outbox by state, and since when the oldest pending ping waits."""

    pending: int = 0
    parked: int = 0
    uncertain: int = 0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LogsSeen:
    """One directory that may hold logs: how many, and their size in bytes."""

    source: str
    path: str
    is_there: bool
    files: int = 0
    size: int = 0
    closed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server that was asked whether it is there."""

    url: str
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment. A `Trouble` stands where something could not be looked at."""

    now_ms: int
    platform: str
    agent: AgentSeen = field(default_factory=AgentSeen)
    service: ServiceSeen | Trouble = field(default_factory=lambda: Trouble(""))
    hook: HookSeen | Trouble = field(default_factory=lambda: Trouble(""))
    spool_waiting: int = 0
    spool_damaged: int = 0
    spool_is_full: bool = False
    outbox: OutboxSeen | Trouble = field(default_factory=OutboxSeen)
    logs: tuple[LogsSeen, ...] = ()
    unpriced: tuple[tuple[str, int], ...] = ()
    sends_to: tuple[tuple[str, str], ...] = ()
    credentials: Trouble | None = None
    server: ServerSeen | None = None
