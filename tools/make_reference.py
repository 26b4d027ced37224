"""Writes the generated pages of docs/reference, and what completion knows: `make reference`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools import make_cli_reference, make_completion, make_json_reference
from tools.reference import payload_page, routes_page, settings_page

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "cli.md": make_cli_reference.page,
    "payload-fields.md": payload_page.page,
    "routes.md": routes_page.page,
    "settings.md": settings_page.page,
    "json.md": make_json_reference.page,
}
"""Each page and what it is made by."""


def main() -> int:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
    return make_completion.main()


if __name__ == "__main__":
    sys.exit(main())
