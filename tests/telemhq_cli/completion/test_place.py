from __future__ import annotations

from typing import Any

import pytest

from telemhq_cli.completion.place import wanted

TREE: dict[str, Any] = {
    "help": "All.",
    "options": [{"names": ["--version"], "help": "Show."}],
    "commands": {
        "tracker": {
            "help": "Trackers.",
            "commands": {
                "show": {
                    "help": "Show one.",
                    "arguments": [{"kind": "trackers"}],
                    "options": [
                        {"names": ["--profile"], "help": "Login.", "kind": "profiles"},
                        {"names": ["--json"], "help": "JSON."},
                        {"names": ["--field", "-f"], "help": "F.", "kind": "fields", "is_many": 1},
                        {"names": ["--in"], "help": "I.", "kind": ["day", "week"], "is_many": 1},
                        {"names": ["--by"], "help": "By.", "kind": ["day", "week"]},
                    ],
                },
                "page": {"help": "Page.", "arguments": [{"kind": "", "is_many": False}]},
                "many": {"help": "Many.", "arguments": [{"kind": "trackers", "is_many": True}]},
            },
        },
        "ping": {"help": "Ping.", "arguments": [{"kind": "trackers"}], "after": "files"},
    },
}
OPTIONS = ("--profile", "--json", "--field", "--in", "--by")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("|", ("tracker", "ping")),
        ("--version |", ("tracker", "ping")),
        ("|--", ("--version",)),
        ("tracker |", ("show", "page", "many")),
        ("trakcer |", ()),
        ("tracker show |-", OPTIONS),
        ("tracker show a |", OPTIONS),
        ("tracker show a --json |", ("--profile", "--field", "--in", "--by")),
        ("tracker show a --by=day -f x --json |", ("--profile", "--field", "--in")),
        ("tracker show -- a |", ()),
    ],
)
def test_words_of_the_tree_are_offered_where_they_may_stand(
    line: str, offered: tuple[str, ...]
) -> None:
    before, word = line.split("|")

    assert tuple(name for name, _ in wanted(TREE, before.split(), word).offers) == offered


@pytest.mark.parametrize(
    ("line", "kind", "prefix"),
    [
        ("tracker show |", "trackers", ""),
        ("tracker show --json |", "trackers", ""),
        ("tracker show --profile |", "profiles", ""),
        ("tracker show --profile work |", "trackers", ""),
        ("tracker show --profile=work |", "trackers", ""),
        ("tracker show |--profile=w", "profiles", "--profile="),
        ("tracker show |--json=w", "", ""),
        ("tracker show a -f |", "fields", ""),
        ("tracker show a -fcost --field |", "fields", ""),
        ("tracker show --by |", ("day", "week"), ""),
        ("tracker show --in |day,we", ("day", "week"), "day,"),
        ("tracker show |--in=day,we", ("day", "week"), "--in=day,"),
        ("tracker show --profile --json |", "trackers", ""),
        ("tracker show -- |-x", "trackers", ""),
        ("tracker page |", "", ""),
        ("tracker many a b c |", "trackers", ""),
        ("ping a -- |", "files", ""),
        ("ping a -- ./run |", "files", ""),
    ],
)
def test_values_are_of_the_kind_that_is_asked_for(
    line: str, kind: str | tuple[str, ...], prefix: str
) -> None:
    before, word = line.split("|")
    found = wanted(TREE, before.split(), word)

    assert (found.kind, found.prefix) == (kind, prefix)


def test_what_was_said_before_is_known() -> None:
    found = wanted(TREE, ["tracker", "show", "nightly", "--profile", "work", "-f"], "")

    assert (found.arguments, found.given) == (("nightly",), {"--profile": "work"})
