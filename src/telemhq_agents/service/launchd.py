"""The agent as a launchd agent of one macOS user, as launchd.plist(5) has it. Pure.

Written, not yet run there.
"""

from __future__ import annotations

import plistlib
from typing import TYPE_CHECKING, Any

from telemhq_agents.service.definition import MARK, Definition, Manager, Service

if TYPE_CHECKING:
    from pathlib import Path

LABEL = "com.telemhq.agent"
THROTTLE_S = 30


def definition(service: Service, agents: Path, user: int) -> Definition:
    """Return the agent as it lies in the directory `agents` of the user with this id."""
    path = agents / f"{LABEL}.plist"
    domain = f"gui/{user}"
    begin = ("launchctl", "bootstrap", domain, str(path))
    end = ("launchctl", "bootout", f"{domain}/{LABEL}")
    return Definition(
        manager=Manager.LAUNCHD,
        path=path,
        content=plist(service),
        probe=("launchctl", "print", domain),
        active=("launchctl", "print", f"{domain}/{LABEL}"),
        register=(begin,),
        renew=(end, begin),
        forget=(end,),
        is_proven=False,
    )


def plist(service: Service) -> bytes:
    """Return the property list."""
    told: dict[str, Any] = {
        "Label": LABEL,
        "ProgramArguments": list(service.program),
        "EnvironmentVariables": dict(service.environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": THROTTLE_S,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 10,
        "Umask": 0o077,
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": "/dev/null",
    }
    head, mark, rest = plistlib.dumps(told, sort_keys=False).partition(b"<plist ")
    return head + f"<!-- {MARK}; telemhq agent uninstall removes it. -->\n".encode() + mark + rest
