"""What a service manager is told about the background agent: a file, and a few commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from telemhq_agents.errors import SettingsError

MARK = "Written by telemhq agent install"
"""Stands in every file of ours: what lacks it belongs to somebody else."""
DESCRIPTION = "TelemHQ agent: reports what coding agents on this machine use"
KEPT = (
    *("TELEMHQ_HOME", "TELEMHQ_URL", "TELEMHQ_PROFILE", "TELEMHQ_TIMEZONE"),
    *("TELEMHQ_COALESCE", "TELEMHQ_PRIVACY", "TELEMHQ_PRIVATE"),
    *("CODEX_HOME", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_HOME"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""What of the environment says where files and servers are; a service starts without any of it."""
PATHS = ("TELEMHQ_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_HOME")
"""Of these, what may be relative: a service starts in another directory."""


class Manager(StrEnum):
    """Who keeps the agent running."""

    SYSTEMD = "systemd"
    LAUNCHD = "launchd"
    TASK_SCHEDULER = "Task Scheduler"


@dataclass(frozen=True, slots=True)
class Service:
    """The program to keep running, absolute, and the environment that it needs."""

    program: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Definition:
    """A service as its manager knows it.

    `probe` succeeds where the manager answers, `active` where it runs the agent now. `register`
    makes a new file known and starts the agent, `renew` does so with one that changed, `forget`
    stops the agent before the file goes, `after` follows that. `links` are what the manager itself
    puts elsewhere for us. `is_proven` is whether anybody ran it on such a system yet.
    """

    manager: Manager
    path: Path
    content: bytes
    probe: tuple[str, ...]
    active: tuple[str, ...]
    register: tuple[tuple[str, ...], ...]
    renew: tuple[tuple[str, ...], ...]
    forget: tuple[tuple[str, ...], ...]
    after: tuple[tuple[str, ...], ...] = ()
    links: tuple[Path, ...] = ()
    is_proven: bool = True


def service(python: str, environ: Mapping[str, str], absolute: Mapping[str, str]) -> Service:
    """Return the agent as a service: this very interpreter, and what says where things are.

    `absolute` holds those of `PATHS` that are set, made absolute. Raises SettingsError for a value
    that no service file can hold.
    """
    kept = {name: environ[name] for name in KEPT if environ.get(name)} | dict(absolute)
    for name, value in {"the interpreter's path": python, **kept}.items():
        if not value.isprintable():
            raise SettingsError(
                f"{name} holds a line break or a control character: {value!r}.",
                "Give it another value and run telemhq agent install again.",
            )
        if "://" in value and "@" in value:
            raise SettingsError(
                f"{name} holds a password, which a service file must not.",
                f"Unset {name} for the installation, or name the proxy without one.",
            )
    program = (python, "-P", "-m", "telemhq_cli.main", "agent", "run")
    return Service(program, kept)
