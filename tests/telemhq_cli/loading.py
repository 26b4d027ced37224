"""Which heavy modules commands load: run as a program, for many commands in one go.

Reads lists of command lines as JSON, and prints the modules that each has loaded. The lines of a
list run one after the other in a process of their own, a fork of one that has Typer and nothing
else; `--help` loads what a command's module does, and the last line of a list may do real work.
"""

from __future__ import annotations

import json
import os
import sys

HEAVY = (
    *("httpx", "rich", "sqlite3", "plotext", "watchdog", "keyring", "tomli_w", "multiprocessing"),
    *("sqlalchemy", "fastapi", "alembic", "jinja2", "uvicorn", "server_stub", "asyncio"),
)


def loaded_by(lines: list[list[str]]) -> list[list[str]]:
    """Run commands, which say nothing, in a process of their own; return what was loaded after each."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        _run(lines, write)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        answers = told.read().splitlines()
    os.waitpid(child, 0)
    return [json.loads(answer) for answer in answers]


def _run(lines: list[list[str]], write: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        from telemhq_cli.main import main

        for arguments in lines:
            sys.argv = ["telemhq", *arguments]
            main()
            loaded = sorted(set(HEAVY) & set(sys.modules))
            os.write(write, f"{json.dumps(loaded)}\n".encode())
    finally:
        os._exit(0)


if __name__ == "__main__":
    import typer.main  # noqa: F401 - 60 ms that every command would take

    print(json.dumps([loaded_by(lines) for lines in json.load(sys.stdin)]))  # noqa: T201 - its answer
