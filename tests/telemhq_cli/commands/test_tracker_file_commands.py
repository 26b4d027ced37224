"""`telemhq tracker export|apply` against a real server."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

FILE = """\
[[trackers]]
name = "nightly"
failures_to_fail = 2

[trackers.schedule]
cron = "0 3 * * *"
grace_s = 600

[[trackers.assertions]]
path = "items_processed"
operator = "greater_than"
value = 0

[[trackers]]
name = "weekly"
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def ada(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    return telemhq


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trackers.toml"
    path.write_text(FILE)
    return path


def made_by_hand(ada: CommandLine) -> list[str]:
    return [one["name"] for one in ada.asks("tracker", "list") if not one["device_id"]]


def test_a_file_is_applied_and_applied_again_changes_nothing(ada: CommandLine, file: Path) -> None:
    first = ada("tracker", "apply", str(file))
    again = ada("tracker", "apply", str(file), "--exit-code")

    assert first.out.splitlines() == [
        "+ nightly",
        "+ weekly",
        "",
        "2 added, 0 trackers unchanged.",
    ]
    assert again.out == "Nothing to change: 2 trackers unchanged.\n"
    assert made_by_hand(ada) == ["nightly", "weekly"]
    ada("ping", "weekly")
    assert len(ada.asks("tracker", "runs", "weekly")) == 1


def test_a_dry_run_shows_the_difference_and_can_end_with_1(ada: CommandLine, file: Path) -> None:
    ada("tracker", "apply", str(file))
    ada("tracker", "create", "old")
    file.write_text(
        FILE.replace("600", "60").replace("value = 0", "value = 5") + '[[trackers]]\nname = "new"\n'
    )

    done = ada("tracker", "apply", str(file), "--dry-run", "--prune", "--exit-code", code=1)

    assert done.out.splitlines() == [
        "+ new",
        "~ nightly",
        "    schedule.grace_s: 600 → 60",
        "    \N{MINUS SIGN} assertions: items_processed > 0; + assertions: items_processed > 5",
        "\N{MINUS SIGN} old  (ada@example.com)",
        "",
        "1 would be added, 1 would be changed, 1 would be deleted, 1 tracker unchanged.",
    ]
    assert made_by_hand(ada) == ["nightly", "old", "weekly"]
    assert ada("tracker", "apply", str(file), "--dry-run").code == 0


def test_pruning_without_anybody_to_ask_does_as_it_was_told(ada: CommandLine, file: Path) -> None:
    ada("tracker", "create", "old")

    done = ada("tracker", "apply", "-", "--prune", given=FILE)

    assert "\N{MINUS SIGN} old" in done.out
    assert made_by_hand(ada) == ["nightly", "weekly"]
    assert len(ada.asks("tracker", "list")) == 4, "those of this machine's agents stay"


def test_somebody_at_a_terminal_is_asked_before_trackers_are_deleted(
    ada: CommandLine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada("tracker", "create", "old")
    monkeypatch.setattr(io, "StringIO", Terminal)

    refused = ada("tracker", "apply", str(file), "--prune", given="n\n", code=2)
    assert "Delete 1 tracker?" in refused.err
    assert made_by_hand(ada) == ["old"]

    ada("tracker", "apply", str(file), "--prune", given="y\n")
    assert made_by_hand(ada) == ["nightly", "weekly"]
    assert ada("tracker", "apply", str(file), "--prune", given="").code == 0
    ada("tracker", "create", "old")
    ada("tracker", "apply", str(file), "--prune", "--yes", given="")
    assert made_by_hand(ada) == ["nightly", "weekly"]


def test_what_is_exported_applies_without_a_change(
    ada: CommandLine, file: Path, tmp_path: Path
) -> None:
    ada("tracker", "apply", str(file))
    exported = tmp_path / "exported.toml"
    exported.write_text(ada("tracker", "export").out)

    done = ada("tracker", "apply", str(exported), "--prune", "--exit-code")

    assert done.out == "Nothing to change: 2 trackers unchanged.\n"
    assert exported.read_text().startswith("# Trackers of Ada at http://127.0.0.1:")
    assert ada("tracker", "export").out == exported.read_text()
    assert 'name = "nightly"' not in ada("tracker", "export", "weekly").out
    as_json = tmp_path / "exported.json"
    as_json.write_text(ada("tracker", "export", "--json").out)
    assert ada.asks("tracker", "apply", str(as_json))["changed"] == []


def test_programs_get_the_difference_as_json_or_csv(ada: CommandLine, file: Path) -> None:
    told = ada.asks("tracker", "apply", str(file), "--dry-run")
    ada("tracker", "apply", str(file))
    file.write_text(FILE.replace("600", "60"))
    text = ada("tracker", "apply", str(file), "--csv").out
    rows = list(csv.DictReader(io.StringIO(text)))

    assert (told["applied"], [one["name"] for one in told["added"]]) == (
        False,
        ["nightly", "weekly"],
    )
    assert [(row["change"], row["name"], row["field"], row["before"], row["after"]) for row in rows] == [
        ("changed", "nightly", "schedule.grace_s", "600", "60"),
        ("unchanged", "weekly", "", "", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[trackers]\n", "trackers.toml cannot be read"),
        (FILE.replace("grace_s", "grace"), "line 7 (nightly): schedule.grace: no such key; did"),
        (FILE.replace("0 3 *", "0 33 *"), "line 6 (nightly): schedule.cron:"),
        (FILE.replace("weekly", "nightly"), "line 15 (nightly): name: another tracker"),
        (
            '[[trackers]]\nname="a"\nassertions=[{path="a\\t",operator="equals",value=1}]\n',
            "line 3 (a)",
        ),
        ("version = 7\n", "line 1: version: 7 is a format that this server does not know"),
    ],
)
def test_a_mistake_in_a_file_is_named_by_line_and_changes_nothing(
    ada: CommandLine, file: Path, text: str, said: str
) -> None:
    file.write_text(text)

    done = ada("tracker", "apply", str(file), code=2)

    assert said in done.complaint
    assert str(file) in done.complaint
    assert made_by_hand(ada) == []


def test_a_file_that_is_not_there_is_named_with_how_to_get_one(ada: CommandLine) -> None:
    done = ada("tracker", "apply", "nowhere.toml", code=2)

    assert "nowhere.toml cannot be read" in done.complaint
    assert "telemhq tracker export" in done.complaint


def test_a_tracker_that_is_not_there_cannot_be_exported(ada: CommandLine) -> None:
    assert "'nope'" in ada("tracker", "export", "nope", code=5).complaint
