"""What `telemhq doctor` looks at, as plain records: findings are told from these alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemhq_agents.errors import TelemhqError


def trouble(error: TelemhqError) -> Trouble:
    """Return what went wrong as a record."""
    return Trouble(error.message, error.next_step)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be looked at, and the command that mends it, if any."""

    message: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class InstallationSeen:
    """This very program: versions, where it is, and which one a shell would run ("" for none)."""

    version: str
    python: str
    interpreter: str
    place: str
    sqlite: str
    on_path: str = ""
    is_on_path: bool = False
    claude: str = ""


@dataclass(frozen=True, slots=True)
class SettingsSeen:
    """The settings that are no defaults, each as (key, value, origin); `file` is where they go.

    `project` is what is wrong with the `.telemhq.toml` of the directory one is in.
    """

    file: str
    chosen: tuple[tuple[str, str, str], ...] = ()
    trouble: Trouble | None = None
    project: Trouble | None = None


@dataclass(frozen=True, slots=True)
class KeyringSeen:
    """The keyring: what it is called ("" for none), and the logins whose key it should hold.

    `missing` are those among them whose key it does not give.
    """

    name: str = ""
    holds: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    in_file: tuple[str, ...] = ()


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

    Of the `ended` turns since it was installed it announced so many; `last_ms` is when it last told
    of anything; `silenced_by` tells what keeps it from running.
    """

    claude_is_here: bool
    is_installed: bool
    is_current: bool
    settings: str
    ended: int = 0
    announced: int = 0
    last_ms: int | None = None
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
    """One directory that may hold logs: how many, their size in bytes, when one last changed."""

    source: str
    path: str
    is_there: bool
    files: int = 0
    size: int = 0
    closed: tuple[str, ...] = ()
    newest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CursorsSeen:
    """How far a source's logs are read: of so many, `behind` have `unread` bytes to go."""

    source: str
    logs: int
    behind: int
    unread: int


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server that was asked whether it is there, and how far its clock is ahead of ours.

    `took_ms` is how long the answer took; `is_skipped` means that nobody wanted it asked.
    """

    url: str
    trouble: Trouble | None = None
    took_ms: int | None = None
    ahead_ms: int | None = None
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class StorageSeen:
    """The disk that our files are on, in bytes, and what the ledger takes of it."""

    place: str
    free: int
    ledger: int


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
    spool_place: str = ""
    outbox: OutboxSeen | Trouble = field(default_factory=OutboxSeen)
    logs: tuple[LogsSeen, ...] = ()
    cursors: tuple[CursorsSeen, ...] = ()
    unpriced: tuple[tuple[str, int], ...] = ()
    sends_to: tuple[tuple[str, str], ...] = ()
    credentials: Trouble | None = None
    server: ServerSeen | None = None
    installation: InstallationSeen | None = None
    settings: SettingsSeen | None = None
    keyring: KeyringSeen | None = None
    storage: StorageSeen | None = None
