"""Whatever stands in a settings file stays, byte for byte, with us and after us."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_code_hooks import install, registering, splice
from claude_code_hooks.events import EVENTS
from claude_code_hooks.install import Scope
from telemhq_agents.errors import SettingsError
from telemhq_agents.locations import Locations

COMMAND = f"{{ /py /hook.py; }} >/dev/null 2>&1 {registering.MARK}"
OTHER = f"{{ /new/py /hook.py; }} >/dev/null 2>&1 {registering.MARK}"
THEIRS = {"hooks": [{"type": "command", "command": "notify-send done"}], "matcher": ""}

SETTINGS = [
    "{}",
    "{}\n",
    "{ }",
    '{"model": "opus"}',
    '{"model":"opus","env":{"A":"1"}}\n',
    '{\n  "model": "opus",\n  "b": [1, 2.50, 1e5, "\\u00e9\\/"]\n}\n',
    '{\n\t"z": 1,\n\t"a": {"hooks": {}}\n}',
    '{\r\n    "model": "opus"\r\n}\r\n',
    '\ufeff{"a": 1}',
    '{"hooks": {}}',
    '{\n  "hooks": {\n    "Stop": []\n  }\n}\n',
    json.dumps({"hooks": {"Stop": [THEIRS], "PreToolUse": [THEIRS]}, "a": 1}, indent=4),
    json.dumps({"a": 1, "hooks": {"SessionEnd": [THEIRS, THEIRS]}}),
    '{"a": 1, "a": 2}',
    '{"hooks": {"Stop": []}, "hooks": {}, "statusLine": null}',
    '{"statusLine": {"type": "command", "command": "mine"}, "b": 1}',
    "\ufeff",
    "",
    "\n",
]

NAMES = st.text(max_size=8) | st.sampled_from(["Stop", "SessionEnd", "hooks", "model", 'q"\\'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
GROUPS = st.lists(
    st.fixed_dictionaries(
        {"hooks": st.lists(st.fixed_dictionaries({"command": st.text(max_size=9)}), max_size=2)},
        optional={"matcher": st.text(max_size=5)},
    )
    | VALUES,
    max_size=3,
)
HOOKS = st.dictionaries(st.sampled_from([*EVENTS, "PreToolUse"]), GROUPS, max_size=4)
FILES = st.builds(
    lambda rest, hooks: {**rest, **({} if hooks is None else {"hooks": hooks})},
    st.dictionaries(NAMES.filter(lambda name: name != "hooks"), VALUES, max_size=4),
    st.none() | HOOKS,
)
LAYOUTS = st.sampled_from([None, 1, 2, 4, "\t"])


def ours(text: str) -> dict[str, list[Any]]:
    hooks = json.loads(text.removeprefix("\ufeff"))["hooks"]
    found = {
        event: [each for group in groups if (each := group) in [entry_of(COMMAND), entry_of(OTHER)]]
        for event, groups in hooks.items()
    }
    return {event: groups for event, groups in found.items() if groups}


def entry_of(command: str) -> dict[str, Any]:
    return {"hooks": [{"type": "command", "command": command, "timeout": 5}]}


def bare(value: Any) -> Any:
    """Return settings without what holds nothing, which an uninstall may leave out."""
    hooks = {event: groups for event, groups in value.get("hooks", {}).items() if groups}
    rest = {key: each for key, each in value.items() if key != "hooks"}
    return rest | ({"hooks": hooks} if hooks else {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claude" / "settings.json"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", SETTINGS)
def test_installed_the_hook_stands_once_on_each_event(text: str) -> None:
    after = registering.plan(text, COMMAND)

    assert ours(after) == {event: [entry_of(COMMAND)] for event in EVENTS}


@pytest.mark.parametrize("text", SETTINGS)
def test_nothing_of_the_text_moves(text: str) -> None:
    """What was there is still there, in its order: the new text only has more in between."""
    rest = iter(registering.plan(text, COMMAND))

    assert all(sign in rest for sign in text if not sign.isspace())


@pytest.mark.parametrize("text", SETTINGS)
def test_installing_twice_is_installing_once(text: str) -> None:
    once = registering.plan(text, COMMAND)

    assert registering.plan(once, COMMAND) == once


@pytest.mark.parametrize("text", SETTINGS)
def test_a_moved_program_takes_the_place_of_the_old_one(text: str) -> None:
    after = registering.plan(registering.plan(text, COMMAND), OTHER)

    assert ours(after) == {event: [entry_of(OTHER)] for event in EVENTS}


@given(settings=FILES, layout=LAYOUTS)
def test_whatever_the_settings_are_they_gain_our_entries_and_lose_nothing(
    settings: dict[str, Any], layout: int | str | None
) -> None:
    text = json.dumps(settings, indent=layout)

    after = registering.plan(text, COMMAND)

    expected = json.loads(text)
    hooks = expected.setdefault("hooks", {})
    for event in EVENTS:
        hooks.setdefault(event, []).append(entry_of(COMMAND))
    assert json.loads(after) == expected
    assert list(json.loads(after)) == list(expected)
    assert bare(json.loads(registering.without_ours(after))) == bare(json.loads(text))


@given(settings=FILES, layout=LAYOUTS)
def test_whatever_the_settings_are_uninstalling_restores_them(
    settings: dict[str, Any], layout: int | str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = json.dumps(settings, indent=layout, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if "\\ud" in repr(text) or not is_text(text):
        return
    path = tmp_path_factory.mktemp("settings") / "settings.json"
    path.write_bytes(text)

    install.install(path, COMMAND)
    install.uninstall(path)

    assert path.read_bytes() == text
    assert [each.name for each in path.parent.iterdir()] == ["settings.json"]


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("text", SETTINGS)
def test_uninstalled_a_file_that_nobody_else_changed_is_as_it_was(text: str, path: Path) -> None:
    put(path, text)

    installed = install.install(path, COMMAND)
    install.install(path, COMMAND)
    outcome = install.uninstall(path)

    assert installed.changed
    assert installed.before == text
    assert outcome.changed
    assert path.read_bytes() == text.encode()


def test_uninstalled_a_file_that_was_not_there_is_gone(path: Path) -> None:
    install.install(path, COMMAND)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    outcome = install.uninstall(path)

    assert outcome.after is None
    assert list(path.parent.iterdir()) == []


def test_uninstalled_a_file_that_somebody_changed_since_loses_only_our_entries(path: Path) -> None:
    put(path, '{\n  "hooks": {"Stop": []},\n  "a": 1\n}\n')
    install.install(path, COMMAND)
    changed = json.loads(path.read_text())
    changed["hooks"]["Stop"].insert(0, THEIRS)
    changed["hooks"]["Stop"][-1]["hooks"].append({"type": "command", "command": "true"})
    changed["b"] = 2
    path.write_text(json.dumps(changed, indent=1))

    install.uninstall(path)

    left = [THEIRS, {"hooks": [{"type": "command", "command": "true"}]}]
    assert json.loads(path.read_text()) == {"hooks": {"Stop": left}, "a": 1, "b": 2}
    assert [each.name for each in path.parent.iterdir()] == ["settings.json"]


LINE = f"/bin/telemhq statusline 2>/dev/null {registering.MARK}"
FEWER = EVENTS[:7]


@pytest.mark.parametrize("text", SETTINGS)
@pytest.mark.parametrize("events", [EVENTS, FEWER])
def test_tools_come_and_go_and_the_way_back_stays_open(
    text: str, events: tuple[str, ...], path: Path
) -> None:
    """Whatever was installed in between leaves no trace in what is installed last."""
    put(path, text)
    install.install(path, COMMAND, events)
    at_first = path.read_bytes()

    install.install(path, OTHER, EVENTS, LINE)
    install.install(path, COMMAND, FEWER)
    install.uninstall(path)
    install.install(path, OTHER, FEWER)
    install.install(path, COMMAND, events)

    assert path.read_bytes() == at_first
    install.uninstall(path)
    assert path.read_bytes() == text.encode()


def test_changing_the_events_moves_nothing_that_somebody_wrote_since(path: Path) -> None:
    put(path, '{"hooks": {}, "a": 1}')
    install.install(path, COMMAND, EVENTS)
    path.write_text(path.read_text().replace('"a": 1', '"a": 2, "b": 3'))

    install.install(path, COMMAND, FEWER)

    after = json.loads(path.read_text())
    assert (after["a"], after["b"]) == (2, 3)
    assert tuple(after["hooks"]) == FEWER


@given(settings=FILES, layout=LAYOUTS)
def test_a_status_line_is_set_where_there_is_none_and_no_other_is_touched(
    settings: dict[str, Any], layout: int | str | None
) -> None:
    text = json.dumps(settings, indent=layout)

    after = registering.plan(text, COMMAND, EVENTS, LINE)

    line = {"type": "command", "command": LINE}
    assert json.loads(after)["statusLine"] == settings.get("statusLine", line)
    assert registering.plan(after, COMMAND, EVENTS, LINE) == after
    assert bare(json.loads(registering.without_ours(after))) == bare(json.loads(text))


def test_a_status_line_of_ones_own_stays_and_that_is_told(path: Path) -> None:
    put(path, '{"statusLine": {"type": "command", "command": "mine"}}')

    outcome = install.install(path, COMMAND, EVENTS, LINE)

    assert outcome.statusline_kept
    assert json.loads(path.read_text())["statusLine"]["command"] == "mine"
    assert install.registered_in(path).statusline == ""


def test_our_status_line_outlives_another_install_and_not_the_uninstall(path: Path) -> None:
    put(path, '{"a": 1}')
    outcome = install.install(path, COMMAND, EVENTS, LINE)
    install.install(path, OTHER)
    kept = install.registered_in(path).statusline
    install.install(path, OTHER, EVENTS, LINE.replace("/bin", "/new"))

    assert not outcome.statusline_kept
    assert kept == LINE
    assert install.registered_in(path).statusline == LINE.replace("/bin", "/new")
    install.uninstall(path)
    assert path.read_text() == '{"a": 1}'


def test_a_file_that_claude_code_writes_meanwhile_is_left_to_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, '{"a": 1}')
    real = os.fsync

    def after_the_backup_claude_code_writes(file: int) -> None:
        real(file)
        if install.backup_of(path).exists():
            path.write_text('{"a": 2}')

    monkeypatch.setattr(os, "fsync", after_the_backup_claude_code_writes)

    with pytest.raises(SettingsError, match="changed by somebody else"):
        install.install(path, COMMAND)

    assert path.read_text() == '{"a": 2}'


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_owner_stays_that_owners(path: Path) -> None:
    os.chown(put(path, '{"a": 1}'), 1234, 1235)

    install.install(path, COMMAND)
    backup = install.backup_of(path)

    assert [(each.stat().st_uid, each.stat().st_gid) for each in (path, backup)] == [
        (1234, 1235),
        (1234, 1235),
    ]


def test_what_cannot_be_taken_away_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install.install(path, COMMAND)

    def refuse(_path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "unlink", refuse)

    with pytest.raises(SettingsError, match="cannot be removed: Operation not permitted"):
        install.uninstall(path)


def test_a_link_to_a_file_that_is_not_there_yet_stays_a_link(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    path.parent.mkdir()
    path.symlink_to(real)

    install.install(path, COMMAND)

    assert path.is_symlink()
    assert "telemhq" in real.read_text()
    install.uninstall(path)
    assert path.is_symlink()
    assert not real.exists()


def test_a_link_that_goes_round_is_said(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path)

    with pytest.raises(SettingsError, match="cannot be read"):
        install.install(path, COMMAND)


def test_the_plugin_is_told_whom_to_tell_and_no_more(tmp_path: Path) -> None:
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude")}
    link = tmp_path / "claude" / "telemhq-hook"

    assert install.link_plugin(environ, COMMAND)
    assert link.read_text() == COMMAND + "\n"
    assert stat.S_IMODE(link.stat().st_mode) == 0o600
    assert not install.link_plugin(environ, COMMAND)
    assert install.link_plugin(environ, OTHER)
    assert link.read_text() == OTHER + "\n"
    assert install.unlink_plugin(environ)
    assert not link.exists()
    assert not install.unlink_plugin(environ)


def test_the_status_line_names_an_absolute_program(tmp_path: Path) -> None:
    python = tmp_path / "python"
    bare_python = install.statusline_command(Locations(tmp_path / "c", tmp_path / "d"), str(python))
    (tmp_path / "telemhq").touch()
    script = install.statusline_command(Locations(tmp_path / "c", tmp_path / "d"), str(python))
    homed = install.statusline_command(Locations(tmp_path, tmp_path), str(python))

    assert bare_python == f"{python} -P -m telemhq_cli.main statusline 2>/dev/null || : telemhq"
    assert script == f"{tmp_path}/telemhq statusline 2>/dev/null || : telemhq"
    assert homed == f"/usr/bin/env TELEMHQ_HOME={tmp_path} {script}"


def test_the_backup_is_the_file_before_the_first_change(path: Path) -> None:
    put(path, '{"a": 1}')

    first = install.install(path, COMMAND)
    second = install.install(path, OTHER)

    assert first.backup == second.backup == path.with_name("settings.json.telemhq-backup")
    assert second.backup is not None
    assert second.backup.read_text() == '{"a": 1}'


def test_uninstalling_what_was_never_installed_changes_nothing(path: Path) -> None:
    missing = install.uninstall(path)
    put(path, '{"a": 1}')
    present = install.uninstall(path)

    assert not missing.changed
    assert not present.changed
    assert path.read_text() == '{"a": 1}'


def test_mode_and_symlink_stay(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text('{"a": 1}')
    real.chmod(0o640)
    path.parent.mkdir()
    path.symlink_to(real)

    install.install(path, COMMAND)

    assert path.is_symlink()
    assert "telemhq" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    install.uninstall(path)
    assert path.is_symlink()
    assert real.read_text() == '{"a": 1}'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{\n  "a": 1,\n}\n', "line 3"),
        ("// mine\n{}", "line 1"),
        ('{"a": 1', "line 1"),
        ("[]", "the settings are not an object"),
        ('{"hooks": []}', '"hooks" is not an object'),
        ('{"hooks": {"Stop": {}}}', '"Stop" is not a list'),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
    ],
)
def test_settings_that_cannot_be_understood_are_left_alone(
    text: str, told: str, path: Path
) -> None:
    put(path, text)

    for change in (
        lambda: install.install(path, COMMAND),
        lambda: install.uninstall(path),
        lambda: install.preview(path, COMMAND),
    ):
        with pytest.raises(SettingsError) as raised:
            change()
        assert told in raised.value.message
        assert str(path) in raised.value.message
        assert raised.value.next_step
    assert path.read_text() == text
    assert len(list(path.parent.iterdir())) == 1


def test_a_file_that_is_no_text_is_left_alone(path: Path) -> None:
    put(path, "").write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match="cannot be read"):
        install.install(path, COMMAND)

    assert path.read_bytes() == b"\xff\xfe"


def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="cannot be"):
        install.install(tmp_path / "file" / "settings.json", COMMAND)


def test_the_preview_is_the_change_and_changes_nothing(path: Path) -> None:
    put(path, '{\n  "a": 1\n}\n')

    shown = install.preview(path, COMMAND)
    install.install(path, COMMAND)

    added = [line[1:] for line in shown.splitlines() if line.startswith("+") and line[1] != "+"]
    assert set(path.read_text().splitlines()) == {"{", "}", *added}
    assert shown.startswith(f"--- {path}\n")
    assert install.preview(path, COMMAND) == ""


def test_whose_settings_are_meant() -> None:
    cwd = Path("/home/dev/repo")

    assert install.target(Scope.USER, {}, cwd) == Path.home() / ".claude" / "settings.json"
    named = install.target(Scope.USER, {"CLAUDE_CONFIG_DIR": "/cfg"}, cwd)
    assert named == Path("/cfg/settings.json")
    assert install.target(Scope.PROJECT, {}, cwd) == cwd / ".claude" / "settings.local.json"


@given(settings=FILES, layout=LAYOUTS, data=st.data())
def test_removing_an_item_takes_that_item_alone(
    settings: dict[str, Any], layout: int | str | None, data: st.DataObject
) -> None:
    text = json.dumps(settings, indent=layout)
    if not settings:
        return
    key = data.draw(st.sampled_from(list(settings)))

    left = splice.remove(text, 0, list(settings).index(key))

    expected = {name: value for name, value in json.loads(text).items() if name != key}
    assert json.loads(left) == expected
