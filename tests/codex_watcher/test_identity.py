from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_watcher.identity import count_key

if TYPE_CHECKING:
    from codex_watcher.spend import Parts


@pytest.mark.parametrize(
    ("thread", "moment", "total", "digest"),
    [
        # printf '["01a1…", "01a1…", [1404, 0, 3, 9, 2]]' | sha256sum | cut -c1-40
        (
            "01a1f7e3-50fe-7031-bc55-04e9c5bfde6b",
            "01a1f7e3-5124-7752-b53a-8eb7f1032af4",
            (1404, 0, 3, 9, 2),
            "7bcfafcee8af2d576c5641808250900894c6bafe",
        ),
        # printf '["th\\u00e9", 1795160232217, [1099511627776, 0, 0, 0, 0]]' | sha256sum …
        ("thé", 1_795_160_232_217, (2**40, 0, 0, 0, 0), "bd811b44ae4f08398ead620d68b2db1a1820d116"),
    ],
)
def test_a_response_without_an_id_has_the_key_that_every_ledger_knows_it_by(
    thread: str, moment: str | int, total: Parts, digest: str
) -> None:
    assert count_key(thread, moment, total) == f"codex:count:{digest}"
