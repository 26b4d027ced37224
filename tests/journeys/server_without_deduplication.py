"""The same server with one rule switched off: no key is ever known. The kill story must notice."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from server_stub.store.entries import Entry
from telemhq_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

remember: Callable[..., None] = Entry.__init__


def forget_the_key(entry: Entry, *given: Any) -> None:
    remember(entry, *given)
    entry.key_id = None


if __name__ == "__main__":
    setattr(Entry, "__init__", forget_the_key)  # noqa: B010 - a test's own sabotage
    sys.argv = ["telemhq", "server", "run", *sys.argv[1:]]
    sys.exit(main())
