"""Claude Code's settings files on disk: read whole, replaced at once, left alone when in doubt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> str | None:
    """Return the file's text, None where there is none. Raises SettingsError when unreadable."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}.", "Check the file and its permissions."
        ) from error


def replace(path: Path, before: str | None, text: str, *, like: Path) -> None:
    """Replace the file behind `path` at once, with the mode and owner of `like` (new: 0600).

    Raises SettingsError, and leaves it as it is, when that cannot be done or when the file is no
    longer what was read (`before`): Claude Code writes it too.
    """
    real = path.resolve()
    unfinished = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    try:
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unfinished.open("wb") as stream:
            _make_alike(unfinished, like)
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        if read(path) != before:
            raise SettingsError(
                f"{path} was changed by somebody else meanwhile. Nothing of ours was written.",
                "Run the command again.",
            )
        unfinished.replace(real)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror or error}. It is as it was.",
            "Check the permissions and the owner of the file and its directory.",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove the file behind `path`; no error where there is none.

    Raises SettingsError when that cannot be done.
    """
    try:
        path.resolve().unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be removed: {error.strerror or error}.",
            "Check the permissions and the owner of its directory.",
        ) from error


def _make_alike(path: Path, like: Path) -> None:
    """Give a new file the mode and the owner of another one, where there is one."""
    if not like.exists():
        path.chmod(0o600)
        return
    model, made = like.stat(), path.stat()
    if (model.st_uid, model.st_gid) != (made.st_uid, made.st_gid):
        os.chown(path, model.st_uid, model.st_gid)
    path.chmod(model.st_mode & 0o777)
