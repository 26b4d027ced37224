"""This program: which one it is, what it was told, and where its keys are. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.diagnosis.finding import Finding, Severity
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from telemhq_cli.diagnosis.seen import Snapshot


def program_is_whole(seen: Snapshot) -> Finding | None:
    """Tell which program this is, and what it runs on."""
    held = seen.installation
    if held is None:
        return None
    message = (
        f"telemhq {held.version} in {held.place}; Python {held.python} ({held.interpreter}),"
        f" SQLite {held.sqlite}."
    )
    return Finding("program", Severity.OK, message)


def shell_finds_it(seen: Snapshot) -> Finding | None:
    """Tell of a shell that runs another telemhq, or none."""
    held = seen.installation
    if held is None:
        return None
    if not held.on_path:
        message = "A shell here does not find telemhq: its directory is not in PATH."
        folder = held.interpreter.rpartition("/")[0]
        return Finding("path", Severity.NOTE, message, f'export PATH="{folder}:$PATH"')
    if not held.is_on_path:
        message = f"A shell here runs another telemhq than this one: {held.on_path}."
        return Finding("path", Severity.WARNING, message, f"{held.on_path} --version")
    return Finding("path", Severity.OK, f"A shell here runs this telemhq: {held.on_path}.")


def claude_is_known(seen: Snapshot) -> Finding | None:
    """Tell which Claude Code is here: the hook stands on the events of its version."""
    held = seen.installation
    if held is None or not held.claude:
        return None
    return Finding("Claude Code", Severity.OK, f"Claude Code {held.claude}.")


def settings_are_right(seen: Snapshot) -> Finding | None:
    """Tell which settings hold and where each comes from."""
    held = seen.settings
    if held is None:
        return None
    if held.trouble is not None:
        return Finding("settings", Severity.ERROR, held.trouble.message, held.trouble.next_step)
    if not held.chosen:
        message = f"All settings are defaults; others would stand in {held.file}."
        return Finding("settings", Severity.OK, message)
    told = ", ".join(f"{key} {value} ({origin})" for key, value, origin in held.chosen)
    return Finding("settings", Severity.OK, f"Settings: {told}.")


def project_file_is_right(seen: Snapshot) -> Finding | None:
    """Tell of a `.telemhq.toml` here that holds what it may not, or what nobody understands."""
    if seen.settings is None or seen.settings.project is None:
        return None
    trouble = seen.settings.project
    return Finding("project file", Severity.WARNING, trouble.message, trouble.next_step)


def keys_are_kept(seen: Snapshot) -> Finding | None:
    """Tell where the keys of the logins are; one that is gone is an error."""
    held = seen.keyring
    if held is None:
        return None
    if held.missing:
        name = held.missing[0]
        message = f"The keyring ({held.name or 'none'}) does not hold the key of {name!r}."
        return Finding("keyring", Severity.ERROR, message, f"telemhq login --profile {name}")
    if held.holds:
        message = f"The keyring ({held.name}) holds {counted(len(held.holds), 'key')}."
        return Finding("keyring", Severity.OK, message)
    keyring = f"the keyring ({held.name}) is not used" if held.name else "there is no keyring here"
    if not held.in_file:
        return Finding("keyring", Severity.OK, f"No key is kept on this machine; {keyring}.")
    noun = counted(len(held.in_file), "key")
    return Finding("keyring", Severity.OK, f"A file for you alone holds {noun}; {keyring}.")


def credentials_are_private(seen: Snapshot) -> Finding | None:
    """Tell of credentials that others can read, or nobody."""
    if seen.credentials is None:
        return None
    return Finding(
        "credentials", Severity.ERROR, seen.credentials.message, seen.credentials.next_step
    )
