"""What keeps an installed hook from running is said, with the file that says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks import silence

if TYPE_CHECKING:
    from pathlib import Path

OFF, ON = {"disableAllHooks": True}, {"disableAllHooks": False}
ONLY_MANAGED = {"allowManagedHooksOnly": True}


@pytest.mark.parametrize(
    ("user", "project", "managed", "culprits"),
    [
        ({}, {}, {}, []),
        (OFF, {}, {}, ["user.json"]),
        ({}, OFF, {}, ["project.json"]),
        (OFF, ON, {}, []),
        (ON, OFF, {}, ["project.json"]),
        (OFF, OFF, ON, []),
        ({}, {}, OFF, ["managed-settings.json"]),
        ({}, {}, ONLY_MANAGED, ["managed-settings.json"]),
        (ONLY_MANAGED, ONLY_MANAGED, {}, []),
        (OFF, {}, ONLY_MANAGED, ["user.json", "managed-settings.json"]),
        ({"disableAllHooks": "yes"}, {}, {}, []),
    ],
)
def test_the_stronger_file_decides(
    user: dict[str, Any],
    project: dict[str, Any],
    managed: dict[str, Any],
    culprits: list[str],
    tmp_path: Path,
) -> None:
    files = {"user.json": user, "project.json": project, "managed-settings.json": managed}
    for name, settings in files.items():
        (tmp_path / name).write_text(json.dumps(settings))

    told = silence.why_silent([tmp_path / "user.json", tmp_path / "project.json"], tmp_path)

    assert [sentence.split(" says ")[0] for sentence in told] == [
        str(tmp_path / name) for name in culprits
    ]


def test_a_drop_in_of_the_organisation_counts(tmp_path: Path) -> None:
    folder = tmp_path / "managed-settings.d"
    folder.mkdir()
    (folder / "50-hooks.json").write_text(json.dumps(ONLY_MANAGED))

    (told,) = silence.why_silent([], tmp_path)

    assert str(folder / "50-hooks.json") in told


@pytest.mark.parametrize("text", ["{oops", "[]", "\ufeff", ""])
def test_what_claude_code_cannot_read_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "user.json").write_text(text)

    assert silence.why_silent([tmp_path / "user.json", tmp_path / "gone.json"], tmp_path) == []


@pytest.mark.parametrize(
    ("plugins", "has_it"),
    [
        ({"telemhq@telemhq": True}, True),
        ({"telemhq@somewhere": True, "other@x": False}, True),
        ({"telemhq@telemhq": False}, False),
        ({"other@telemhq": True}, False),
        ([], False),
    ],
)
def test_our_plugin_is_known_by_its_name(plugins: object, has_it: bool, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"enabledPlugins": plugins}))

    assert silence.has_plugin(path) is has_it
