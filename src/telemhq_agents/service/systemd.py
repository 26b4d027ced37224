"""The agent as a systemd user unit. Pure.

The options are those of systemd.unit(5), systemd.service(5) and systemd.exec(5). What would need a
mount or user namespace (ProtectHome= and its like) is left out: many machines refuse it to a user,
and then the unit does not start at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.service.definition import DESCRIPTION, MARK, Definition, Manager, Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UNIT = "telemhq-agent.service"
SYSTEMCTL = ("systemctl", "--user")
FIRST_VERSION_WITH_STEPS = 254
BACK_OFF = ("RestartSec=5", "RestartSteps=6", "RestartMaxDelaySec=5min")
STEADY = ("RestartSec=30",)
"""For versions that know no steps between two restarts."""


def definition(service: Service, units: Path, version: int) -> Definition:
    """Return the unit as it lies in the directory `units`; `version` is systemd's, 0 for unknown."""
    reload_units = (*SYSTEMCTL, "daemon-reload")
    enable = (*SYSTEMCTL, "enable", "--now", UNIT)
    return Definition(
        manager=Manager.SYSTEMD,
        path=units / UNIT,
        content=unit(service, version).encode(),
        probe=(*SYSTEMCTL, "show", "--property=Version"),
        active=(*SYSTEMCTL, "is-active", "--quiet", UNIT),
        register=(reload_units, enable),
        renew=(reload_units, enable, (*SYSTEMCTL, "restart", UNIT)),
        forget=((*SYSTEMCTL, "disable", "--now", UNIT),),
        after=(reload_units,),
        links=(units / "default.target.wants" / UNIT,),
    )


def unit(service: Service, version: int) -> str:
    """Return the text of the unit."""
    return "\n".join(
        [
            f"# {MARK}; telemhq agent uninstall removes it.",
            "[Unit]",
            f"Description={DESCRIPTION}",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=exec",
            f"ExecStart={_command(service.program)}",
            "ExecReload=/bin/kill -HUP $MAINPID",
            *_environment(service.environment),
            "# What it says is in its own log: telemhq agent logs.",
            "StandardOutput=null",
            "StandardError=null",
            "Restart=on-failure",
            # A reload before it listens kills it, which systemd takes for an end that was wanted.
            "RestartForceExitStatus=SIGHUP",
            *(BACK_OFF if version >= FIRST_VERSION_WITH_STEPS else STEADY),
            "TimeoutStopSec=20",
            "UMask=0077",
            "Nice=10",
            "IOSchedulingClass=idle",
            "OOMScoreAdjust=500",
            "NoNewPrivileges=yes",
            "LockPersonality=yes",
            "RestrictRealtime=yes",
            "RestrictSUIDSGID=yes",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
            "SystemCallArchitectures=native",
            "",
            "[Install]",
            "WantedBy=default.target",
            "",
        ]
    )


def version_in(told: str) -> int:
    """Return the version in what `systemctl --version` says, 0 where there is none."""
    words = told.split()
    number = words[1].split(".")[0] if words[:1] == ["systemd"] and len(words) > 1 else ""
    return int(number) if number.isdecimal() else 0


def _command(words: tuple[str, ...]) -> str:
    """Write a command line: every word quoted, nothing expanded in it."""
    return " ".join(_quoted(word.replace("$", "$$")) for word in words)


def _environment(environment: Mapping[str, str]) -> list[str]:
    """Write assignments; `$` means nothing there, `%` begins a specifier as everywhere."""
    return [f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()]


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
