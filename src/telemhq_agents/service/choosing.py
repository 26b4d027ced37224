"""Which service manager this machine has, and the agent's definition for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents import locations
from telemhq_agents.errors import TelemhqError
from telemhq_agents.service import launchd, systemd, windows
from telemhq_agents.service.definition import PATHS, Definition, service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.service.installing import Run

BY_HAND = "Start it yourself, at boot or login: telemhq agent run"


def choose(
    run: Run,
    environ: Mapping[str, str] = os.environ,
    platform: str = locations.PLATFORM,
    python: str = sys.executable,
) -> Definition:
    """Return the agent's definition for the service manager of this machine.

    Raises TelemhqError where there is none that we know, SettingsError where a value of the
    environment cannot stand in a service file.
    """
    absolute = {name: str(Path(environ[name]).absolute()) for name in PATHS if environ.get(name)}
    told = service(python, environ, absolute)
    if platform == "darwin":
        return launchd.definition(told, locations.launch_agents(), os.getuid())
    if platform == "win32":
        user = "\\".join(filter(None, (environ.get("USERDOMAIN"), environ.get("USERNAME"))))
        return windows.definition(told, locations.ours(environ).data, user)
    version = run(("systemctl", "--version"))
    if version.code != 0:
        raise TelemhqError("This machine has no systemd to keep the agent running.", BY_HAND)
    units = locations.systemd_units(environ)
    return systemd.definition(told, units, systemd.version_in(version.said))
