"""Installing, changing and removing the service, with a manager that does as it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from telemhq_agents.errors import SettingsError, TelemhqError
from telemhq_agents.service import choosing, installing, systemd
from telemhq_agents.service.definition import Definition, Service
from telemhq_agents.service.installing import Ran

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEMCTL = ("systemctl", "--user")
ENABLE = (*SYSTEMCTL, "enable", "--now", "telemhq-agent.service")


@dataclass
class Manager:
    """A systemd that remembers what it was asked."""

    answers: bool = True
    refuses: str = ""
    is_active: bool = False
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, command: Sequence[str]) -> Ran:
        if "show" in command or "--version" in command:
            return Ran(0 if self.answers else 1, "systemd 252 (252)")
        if "is-active" in command:
            return Ran(0 if self.is_active else 3, "")
        self.asked.append(tuple(command))
        if self.refuses and self.refuses in command:
            return Ran(1, "Unit is masked.")
        self.is_active = "enable" in command or "restart" in command or self.is_active
        return Ran(0, "")


def wanted(folder: Path, home: str = "/srv/a") -> Definition:
    service = Service(("/usr/bin/python3", "-P", "-m", "x"), {"TELEMHQ_HOME": home})
    return systemd.definition(service, folder / "units", 252)


def test_installing_writes_the_unit_for_its_owner_and_starts_it(tmp_path: Path) -> None:
    manager = Manager()

    done = installing.install(wanted(tmp_path), manager)

    unit = tmp_path / "units" / "telemhq-agent.service"
    assert (done.changed, done.started, done.by_hand) == (True, True, ())
    assert 'Environment="TELEMHQ_HOME=/srv/a"' in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o600
    assert manager.asked == [(*SYSTEMCTL, "daemon-reload"), ENABLE]


def test_installing_twice_changes_nothing_and_asks_for_nothing(tmp_path: Path) -> None:
    manager = Manager()
    installing.install(wanted(tmp_path), manager)
    manager.asked.clear()

    done = installing.install(wanted(tmp_path), manager)

    assert (done.changed, done.started) == (False, True)
    assert manager.asked == []


def test_a_service_that_was_stopped_is_started_by_installing_again(tmp_path: Path) -> None:
    manager = Manager()
    installing.install(wanted(tmp_path), manager)
    manager.is_active = False

    done = installing.install(wanted(tmp_path), manager)

    assert (done.changed, done.started, manager.is_active) == (False, True, True)


def test_other_settings_restart_the_service(tmp_path: Path) -> None:
    manager = Manager()
    installing.install(wanted(tmp_path), manager)
    manager.asked.clear()

    done = installing.install(wanted(tmp_path, "/srv/b"), manager)

    assert done.changed
    assert manager.asked[-1] == (*SYSTEMCTL, "restart", "telemhq-agent.service")


def test_a_manager_that_does_not_answer_leaves_the_unit_and_the_commands_to_run(
    tmp_path: Path,
) -> None:
    manager = Manager(answers=False)

    done = installing.install(wanted(tmp_path), manager)

    assert (done.changed, done.started) == (True, False)
    assert done.by_hand == (
        "systemctl --user daemon-reload",
        "systemctl --user enable --now telemhq-agent.service",
    )
    assert manager.asked == []
    assert (tmp_path / "units" / "telemhq-agent.service").exists()


def test_a_refusal_is_said_in_the_managers_words(tmp_path: Path) -> None:
    with pytest.raises(TelemhqError, match=r"enable --now .* failed: Unit is masked"):
        installing.install(wanted(tmp_path), Manager(refuses="enable"))


@pytest.mark.parametrize("doing", [installing.install, installing.uninstall])
def test_a_unit_of_somebody_elses_is_never_touched(doing: object, tmp_path: Path) -> None:
    unit = wanted(tmp_path).path
    unit.parent.mkdir()
    unit.write_text("[Service]\nExecStart=/usr/bin/mine\n")

    with pytest.raises(SettingsError, match="was not written by telemhq"):
        doing(wanted(tmp_path), Manager())  # type: ignore[operator] # - one of the two above

    assert unit.read_text() == "[Service]\nExecStart=/usr/bin/mine\n"


@pytest.mark.parametrize("answers", [True, False])
def test_uninstalling_removes_what_installing_wrote_and_nothing_else(
    answers: bool, tmp_path: Path
) -> None:
    told = wanted(tmp_path)
    installing.install(told, Manager(answers=answers))
    told.links[0].parent.mkdir()
    told.links[0].symlink_to(told.path)
    neighbour = told.path.with_name("mine.service")
    neighbour.write_text("")
    manager = Manager(answers=answers)

    assert installing.uninstall(told, manager) is True
    assert installing.uninstall(told, manager) is False

    assert [path.name for path in told.path.parent.rglob("*") if not path.is_dir()] == [
        "mine.service"
    ]
    expected = [(*SYSTEMCTL, "disable", "--now", "telemhq-agent.service")]
    assert manager.asked == ([*expected, (*SYSTEMCTL, "daemon-reload")] if answers else [])


def test_standing_tells_a_unit_of_another_version_from_this_one(tmp_path: Path) -> None:
    manager = Manager()
    assert not installing.standing(wanted(tmp_path), manager).is_installed
    installing.install(wanted(tmp_path), manager)

    assert installing.standing(wanted(tmp_path), manager).is_current
    assert not installing.standing(wanted(tmp_path, "/srv/b"), manager).is_current
    assert installing.standing(wanted(tmp_path), manager).is_active


def test_a_machine_without_systemd_is_told_what_to_do_instead() -> None:
    def nothing(command: Sequence[str]) -> Ran:
        return Ran(installing.NOT_THERE, f"{command[0]}: not there")

    with pytest.raises(TelemhqError, match="no systemd") as caught:
        choosing.choose(nothing, {}, "linux", "/usr/bin/python3")

    assert "telemhq agent run" in caught.value.next_step


def test_each_platform_gets_its_own_manager(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "TELEMHQ_HOME": "here"}

    found = [
        choosing.choose(Manager(), environ, platform, "/usr/bin/python3")
        for platform in ("linux", "darwin", "win32")
    ]

    assert [one.manager.value for one in found] == ["systemd", "launchd", "Task Scheduler"]
    assert found[0].path == tmp_path / "systemd" / "user" / "telemhq-agent.service"
    assert f"TELEMHQ_HOME={Path.cwd() / 'here'}".encode() in found[0].content


def test_a_command_that_is_not_there_is_no_exception() -> None:
    assert installing.run(("/nowhere/systemctl",)).code == 127
    assert installing.run(("/bin/sh", "-c", "echo out; echo err >&2; exit 3")) == Ran(3, "out\nerr")
