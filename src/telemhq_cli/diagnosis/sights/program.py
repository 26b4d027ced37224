"""Looking at this program: versions, settings, and where the keys of its logins are."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents import credentials, project_file, settings
from telemhq_agents.errors import TelemhqError
from telemhq_cli.commands.config import here, shown
from telemhq_cli.diagnosis.seen import InstallationSeen, KeyringSeen, SettingsSeen, trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.locations import Locations
    from telemhq_cli.diagnosis.seen import Trouble

LONGEST_SHEBANG = 512
NO_KEYRINGS = ("keyring.backends.fail", "keyring.backends.null")


def installation() -> InstallationSeen:
    """Return which program this is."""
    import platform  # noqa: PLC0415 - for the doctor alone
    from importlib.metadata import version  # noqa: PLC0415 - same

    from claude_code_hooks import program  # noqa: PLC0415 - same
    from telemhq_agents.ledger.waiting import sqlite_version  # noqa: PLC0415 - same

    found = shutil.which("telemhq")
    claude = program.find(os.environ)
    return InstallationSeen(
        version=version("telemhq"),
        python=platform.python_version(),
        interpreter=sys.executable,
        place=str(Path(__file__).parents[2]),
        sqlite=sqlite_version(),
        on_path=found or "",
        is_on_path=found is not None and _runs_this(Path(found)),
        claude=f"{claude.version} ({claude.path})" if claude else "",
    )


def _runs_this(program: Path) -> bool:
    """Tell whether a program on the path is started by this very interpreter."""
    if program.resolve().parent == Path(sys.executable).parent.resolve():
        return True
    try:
        with program.open("rb") as file:
            shebang = file.readline(LONGEST_SHEBANG).decode("utf-8", "replace")
    except OSError:
        return False
    return shebang.removeprefix("#!").strip() == sys.executable


def chosen(ours: Locations, options: Mapping[str, str]) -> SettingsSeen:
    """Return the settings that are no defaults, and what is wrong with any.

    `options` are settings that the command line named.
    """
    wrong, found = None, {}
    try:
        found = settings.stacks(ours.settings, os.environ, options)
    except TelemhqError as error:
        wrong = trouble(error)
    given = tuple(
        (key, _words(key, values[-1].value), _origin(values[-1]))
        for key, values in found.items()
        if len(values) > 1
    )
    return SettingsSeen(str(ours.settings), given, wrong, _project())


def _words(key: str, value: object) -> str:
    told = shown(key, value)
    return told if isinstance(told, str) else " ".join(told)


def _origin(value: settings.Value[object]) -> str:
    return f"{value.origin}, line {value.line}" if value.line else value.origin


def _project() -> Trouble | None:
    try:
        project_file.read(here())
    except TelemhqError as error:
        return trouble(error)
    return None


def keys(ours: Locations, held: Credentials) -> KeyringSeen:
    """Return where the keys of the logins are; asks the keyring only for those it should hold."""
    holds = tuple(one.name for one in held.profiles.values() if one.keyring)
    return KeyringSeen(
        name=_keyring(),
        holds=holds,
        missing=tuple(name for name in holds if not _gives(ours, held, name)),
        in_file=tuple(one.name for one in held.profiles.values() if one.api_key),
    )


def _keyring() -> str:
    try:
        import keyring  # noqa: PLC0415 - 120 ms

        backend = keyring.get_keyring()
    except Exception:  # noqa: BLE001 - a plug-in of somebody else's; none that works is none
        return ""
    return "" if type(backend).__module__ in NO_KEYRINGS else str(backend.name)


def _gives(ours: Locations, held: Credentials, name: str) -> bool:
    told = {"profile": name, "url": held.profiles[name].url}
    try:
        credentials.login(settings.load(ours.settings, {}, told), held, {})
    except TelemhqError:
        return False
    return True
