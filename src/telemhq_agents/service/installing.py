"""Putting the agent's service file in place and taking it away: the one place that runs managers."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents import whole_file
from telemhq_agents.errors import SettingsError, TelemhqError, unwritable
from telemhq_agents.service.definition import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from telemhq_agents.service.definition import Definition

    Run = Callable[[Sequence[str]], "Ran"]

TIMEOUT_S = 60
NOT_THERE = 127


class Ran(NamedTuple):
    """How a command ended, and what it said on both streams. 127: it is not there."""

    code: int
    said: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did. `by_hand` is what is left to do where the manager is silent."""

    changed: bool
    started: bool
    by_hand: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand. `is_current` is whether the file is what would be written now.

    A manager that does not answer runs nothing.
    """

    is_installed: bool
    is_current: bool
    is_active: bool
    answers: bool


def run(command: Sequence[str]) -> Ran:
    """Run a manager's command: no shell, no input, at most a minute."""
    import subprocess  # noqa: PLC0415 - few commands ask a manager

    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        return Ran(NOT_THERE, error.strerror or str(error))
    except subprocess.TimeoutExpired:
        return Ran(1, f"no answer within {TIMEOUT_S} seconds")
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace").strip())


def standing(wanted: Definition, run: Run) -> Standing:
    """Return whether the service is installed, up to date and active; changes nothing."""
    held = _held(wanted.path)
    installed = held is not None and _is_ours(held)
    active = installed and run(wanted.active).code == 0
    answers = active or run(wanted.probe).code == 0
    return Standing(installed, held == wanted.content, active, answers)


def install(wanted: Definition, run: Run) -> Installed:
    """Write the service file and have its manager start the agent now and from now on.

    Doing so twice changes nothing. Where the manager does not answer, the file is there and
    `by_hand` says what to run. Raises SettingsError for a file that is not ours or cannot be
    written, TelemhqError where the manager refuses.
    """
    held = _held(wanted.path)
    _must_be_ours(wanted.path, held)
    changed = held != wanted.content
    if changed:
        _write(wanted.path, wanted.content)
    commands = wanted.renew if changed and held is not None else wanted.register
    if run(wanted.probe).code != 0:
        return Installed(changed, started=False, by_hand=tuple(map(shlex.join, wanted.register)))
    if not changed and run(wanted.active).code == 0:
        return Installed(changed=False, started=True)
    for command in commands:
        _must_work(command, run, wanted)
    return Installed(changed, started=True)


def uninstall(wanted: Definition, run: Run) -> bool:
    """Stop the agent and remove what `install` wrote, nothing else; False when nothing was there.

    Raises SettingsError for a file that is not ours or cannot be removed.
    """
    held = _held(wanted.path)
    if held is None:
        return False
    _must_be_ours(wanted.path, held)
    answers = run(wanted.probe).code == 0
    for command in wanted.forget if answers else ():
        run(command)  # what is stopped already is stopped
    for path in (*filter(_is_link, wanted.links), wanted.path):
        _remove(path)
    for command in wanted.after if answers else ():
        run(command)
    return True


def _must_work(command: Sequence[str], run: Run, wanted: Definition) -> None:
    done = run(command)
    # A service that is loaded already, or is not there to be stopped, is what was wanted.
    if done.code != 0 and command not in wanted.forget:
        raise TelemhqError(
            f"{shlex.join(command)} failed: {done.said or done.code}. {wanted.path} is in place.",
            f"See what {wanted.manager.value} says, then run telemhq agent install again.",
        )


def _is_ours(held: bytes) -> bool:
    return MARK.encode() in held or MARK.encode("utf-16-le") in held


def _must_be_ours(path: Path, held: bytes | None) -> None:
    if held is not None and not _is_ours(held):
        raise SettingsError(
            f"{path} was not written by telemhq; it is left as it is.", f"mv {path} {path}.other"
        )


def _held(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror or error}.", f"Check who may read {path}."
        ) from error


def _write(path: Path, content: bytes) -> None:
    try:
        whole_file.put(path, content)
    except OSError as error:
        raise unwritable(SettingsError, path, error) from error


def _is_link(path: Path) -> bool:
    return path.is_symlink()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be removed: {error.strerror or error}.", f"rm {path}"
        ) from error
