from __future__ import annotations

import sys
from pathlib import Path

import pytest
from platformdirs import PlatformDirs

from telemhq_agents import locations

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs is asked")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"XDG_CONFIG_HOME": "/somewhere/config", "XDG_DATA_HOME": "/somewhere/data"},
        {"XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "  "},
        {"XDG_CONFIG_HOME": "relative/config", "XDG_DATA_HOME": "relative/data"},
        {"XDG_DATA_HOME": " /padded "},
        {"HOME": "/somebody"},
        {"HOME": ""},
    ],
)
def test_our_own_road_to_the_xdg_directories_ends_where_platformdirs_does(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TELEMHQ_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    dirs = PlatformDirs("telemhq", appauthor=False)

    found = locations.ours()

    assert found.config == Path(dirs.user_config_dir)
    assert found.data == Path(dirs.user_data_dir)
