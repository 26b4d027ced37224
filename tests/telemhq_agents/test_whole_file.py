"""Files that are put in place whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from telemhq_agents import whole_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_replaced_by_one_for_its_owner_alone(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "new" / "file"
    whole_file.put(path, b"a longer text", sync=sync)
    path.chmod(0o644)

    whole_file.put(path, b"short", sync=sync)

    assert path.read_bytes() == b"short"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.mkdir()

    with pytest.raises(OSError, match="directory"):
        whole_file.put(path, b"text")

    assert list(tmp_path.iterdir()) == [path]
    assert list(path.iterdir()) == []
