"""What stays on this machine, and what a project is called where its name is hashed."""

from __future__ import annotations

import hashlib
import hmac
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemhq_agents.destined import Destined
from telemhq_agents.ledger.records import Batch, DeviceFacts
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Place, Source
from tests.telemhq_agents.history import (
    BORN,
    QUARTER,
    FlatPrices,
    ended,
    fact,
    ledger_sums,
    place,
    turn,
)
from tests.telemhq_agents.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from telemhq_agents.pricing import Prices
    from telemhq_agents.usage import Turn, UsageFact

LATER = BORN + 10 * QUARTER
PRICES = cast("Prices", FlatPrices())
PRIVATE_SHOP = Place("/home/dev/shop", "private/shop", "shop")
KEY = "the account's"


def digest(name: str, key: str = KEY) -> str:
    return "project-" + hmac.new(key.encode(), name.encode(), hashlib.sha256).hexdigest()[:12]


class Machine:
    """A ledger, a server, and settings that change between two sends."""

    def __init__(self, path: Path, server: ModelServer) -> None:
        self.server = server
        self.device = DeviceFacts("laptop", "salt")
        self.ledger = Ledger.open(path, prices=PRICES, now_ms=lambda: BORN)
        self.ledger.learn("home", corrections=True)
        self.ledger.follow(Source.CLAUDE, (Destined("home", 0),))

    def keep(self, *cwds: str) -> None:
        self.device = replace(self.device, keeps=lambda cwd: cwd in cwds)

    def hash_names(self, key: str | None = KEY) -> None:
        self.device = replace(self.device, naming={} if key is None else {"home": key})

    def call_names(self) -> None:
        self.device = replace(self.device, naming=None)

    def read(self, facts: list[UsageFact], turns: list[Turn] | None = None) -> None:
        self.ledger.book(Batch(facts, turns or []))

    def send(self, *, lost: bool = False) -> None:
        while self.ledger.queue_due(LATER, device=self.device) or self.ledger.counts().pending:
            for row in self.ledger.take(LATER, 100):
                known, recorded = self.server.receive(row.key, row.body)
                if known:
                    self.ledger.answered_duplicate(row, recorded)
                elif lost:
                    return
                else:
                    self.ledger.delivered(row)

    def told(self) -> dict[str, int]:
        """Return the tokens that the server has, by project."""
        found: Counter[str] = Counter()
        for key, figures in self.server.sums().items():
            found[str(key[1])] += figures.get("total_tokens", 0)
        return dict(found)

    def known(self) -> dict[str, int]:
        rows = self.ledger.usage(["project"]).rows
        return {row.keys[0]: row.amounts.total_tokens for row in rows}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "ledger.sqlite3", ModelServer())


def another(machine: Machine, tmp_path: Path) -> Machine:
    return Machine(tmp_path / "another.sqlite3", machine.server)


# Off, by directory


def test_private_work_is_counted_here_and_told_to_nobody(machine: Machine) -> None:
    machine.read(
        [fact("a", place=PRIVATE_SHOP), fact("b", turn="t2", place=place("blog"))],
        [ended(place=PRIVATE_SHOP), ended("t2", place=place("blog"))],
    )

    machine.send()

    assert machine.known() == {"private/shop": 110, "blog": 110}
    assert machine.told() == {"blog": 110}
    assert "shop" not in str(machine.server.bodies)


def test_what_was_told_before_it_became_private_stays_told_and_nothing_follows(
    machine: Machine,
) -> None:
    machine.read([fact("a")], [ended()])
    machine.send()

    machine.keep("/home/dev/shop")
    machine.read([fact("b", turn="t2", place=PRIVATE_SHOP)], [ended("t2", place=PRIVATE_SHOP)])
    machine.send()

    assert machine.known() == {"shop": 110, "private/shop": 110}
    assert machine.told() == {"shop": 110}
    assert len(machine.server.accepted) == 1


def test_what_was_read_but_not_told_stays_here_when_its_directory_becomes_private(
    machine: Machine,
) -> None:
    machine.read([fact("a"), fact("b", turn="t2", place=place("blog"))], [ended(), ended("t2")])

    machine.keep("/home/dev/shop")
    machine.send()

    assert machine.told() == {"blog": 110}
    assert machine.known() == {"private/shop": 110, "blog": 110}


def test_a_turn_that_used_nothing_stays_here_as_well(machine: Machine) -> None:
    machine.read([], [ended()])

    machine.keep("/home/dev/shop")
    machine.send()

    assert machine.server.bodies == {}
    (row,) = machine.ledger.usage(["project"]).rows
    assert (row.keys, row.amounts.runs) == (("private/shop",), 1)


def test_of_one_turn_the_part_in_a_private_directory_stays_here(machine: Machine) -> None:
    inner = Place("/home/dev/shop/secret", "shop", "shop")
    machine.read([fact("a"), fact("b", place=inner, input_tokens=7, output_tokens=0)], [ended()])

    machine.keep("/home/dev/shop/secret")
    machine.send()

    assert machine.told() == {"shop": 110}
    assert machine.known() == {"shop": 110, "private/shop": 7}


def test_a_told_quarter_goes_on_being_corrected_and_the_next_stays_here(machine: Machine) -> None:
    machine.read([fact("a", output_tokens=1)], [turn()])
    machine.send()
    machine.keep("/home/dev/shop")

    machine.read([fact("a"), fact("b", at_ms=BORN + QUARTER)], [ended(at_ms=BORN + QUARTER + 9)])
    machine.send()

    assert machine.told() == {"shop": 110}
    assert machine.known() == {"shop": 110, "private/shop": 110}


def test_the_windows_of_a_private_directory_stay_here(machine: Machine) -> None:
    machine.ledger.set_coalescing(Source.CLAUDE, [(0, 5 * 60_000)])
    machine.read([fact("a"), fact("b", turn="t2", place=place("blog"))], [ended(), ended("t2")])

    machine.keep("/home/dev/shop")
    machine.send()

    assert machine.told() == {"blog": 110}
    assert machine.known() == {"private/shop": 110, "blog": 110}


def test_marking_changes_no_sum_but_the_projects_name(machine: Machine) -> None:
    facts = [fact(str(n), turn=f"t{n % 3}", at_ms=BORN + n * QUARTER // 2) for n in range(12)]
    machine.read(facts, [ended(f"t{n}") for n in range(3)])
    before = ledger_sums(machine.ledger)

    machine.keep("/home/dev/shop")
    machine.send()

    renamed = {(key[0], f"private/{key[1]}", *key[2:]): sums for key, sums in before.items()}
    assert ledger_sums(machine.ledger) == renamed
    assert machine.server.bodies == {}


def test_reading_the_log_again_does_not_make_private_work_public(machine: Machine) -> None:
    machine.read([fact("a")], [ended()])
    machine.keep("/home/dev/shop")
    machine.send()

    machine.keep()
    machine.read([fact("a")], [ended()])
    machine.send()

    assert machine.server.bodies == {}


@pytest.mark.parametrize("kept", [(), ("/home/dev/shop",)])
def test_a_long_session_is_queued_and_marked_in_proportion_to_its_turns(
    tmp_path: Path, kept: tuple[str, ...]
) -> None:
    def steps(turns: int) -> int:
        """Count what SQLite does for one session of so many turns, in thousands."""
        machine = Machine(tmp_path / f"{turns}.sqlite3", ModelServer())
        machine.keep(*kept)
        numbers = range(turns)
        machine.read(
            [fact(f"f{one}", turn=f"t{one}") for one in numbers],
            [ended(f"t{one}") for one in numbers],
        )
        done: Counter[str] = Counter()
        with machine.ledger.lent() as connection:
            connection.set_progress_handler(lambda: done.update("s"), 1000)
        machine.ledger.queue_due(LATER, device=machine.device)
        machine.ledger.close()
        return done.total()

    assert steps(2000) < 6 * steps(500)


# Hashed names


def test_a_hashed_project_is_told_as_a_digest_under_the_accounts_key(machine: Machine) -> None:
    machine.hash_names()
    machine.read([fact("a")], [ended()])

    machine.send()

    assert machine.told() == {digest("shop"): 110}
    assert machine.known() == {"shop": 110}
    assert "shop" not in str(machine.server.bodies)


def test_where_no_account_key_is_known_the_devices_salt_hashes(machine: Machine) -> None:
    machine.hash_names(None)
    machine.read([fact("a")], [ended()])

    machine.send()

    assert machine.told() == {digest("shop", "salt"): 110}


@pytest.mark.parametrize(
    ("first", "then", "name"),
    [
        (Machine.call_names, Machine.hash_names, "shop"),
        (Machine.hash_names, Machine.call_names, digest("shop")),
    ],
)
def test_a_told_bucket_keeps_the_name_it_was_told_under(
    machine: Machine,
    first: Callable[[Machine], None],
    then: Callable[[Machine], None],
    name: str,
) -> None:
    first(machine)
    machine.read([fact("a", output_tokens=1)], [ended()])
    machine.send()

    then(machine)
    machine.read([fact("a", output_tokens=50)])
    machine.send()

    assert machine.told() == {name: 150}
    assert len(machine.server.accepted) == 2


@pytest.mark.parametrize("hashed_first", [True, False])
def test_a_rebuilt_ledger_at_another_level_corrects_under_the_name_that_the_server_holds(
    machine: Machine, tmp_path: Path, *, hashed_first: bool
) -> None:
    rebuilt = another(machine, tmp_path)
    (machine if hashed_first else rebuilt).hash_names()
    machine.read([fact("a", output_tokens=1)], [ended()])
    machine.send()

    rebuilt.read([fact("a", output_tokens=50), fact("b", turn="t2")], [ended(), ended("t2")])
    rebuilt.send()

    held = digest("shop") if hashed_first else "shop"
    other = "shop" if hashed_first else digest("shop")
    assert machine.told() == {held: 150, other: 110}


def test_a_lost_answer_changes_no_name(machine: Machine) -> None:
    machine.hash_names()
    machine.read([fact("a")], [ended()])
    machine.send(lost=True)

    machine.call_names()
    machine.read([fact("a", output_tokens=90)])
    machine.send()

    assert machine.told() == {digest("shop"): 190}


def test_two_members_names_join_and_a_private_one_is_never_hashed_out(
    machine: Machine, tmp_path: Path
) -> None:
    other = another(machine, tmp_path)
    machine.hash_names()
    other.hash_names()
    machine.read([fact("a"), fact("p", turn="t3", place=PRIVATE_SHOP)], [ended()])
    other.read([fact("b", turn="t2", session_id="s2")], [ended("t2", session_id="s2")])

    machine.send()
    other.send()

    assert machine.told() == {digest("shop"): 220}


# Any order of work, settings and sends

SETTINGS: dict[str, Callable[[Machine], None]] = {
    "keep shop": lambda machine: machine.keep("/home/dev/shop"),
    "keep nothing": Machine.keep,
    "hash names": Machine.hash_names,
    "call names": Machine.call_names,
    "send": Machine.send,
    "lose an answer": lambda machine: machine.send(lost=True),
}
STEPS = st.lists(
    st.one_of(
        st.sampled_from(sorted(SETTINGS)),
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 2),
            st.sampled_from(["shop", "blog"]),
            st.integers(1, 99),
        ),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_what_is_told_and_what_stays_add_up_to_what_is_known_and_no_bucket_changes_its_name(
    steps: list[Any],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "ledger.sqlite3", ModelServer())
        for step in [*steps, "send"]:
            if isinstance(step, str):
                SETTINGS[step](machine)
                continue
            key, number, project, tokens = step
            at_ms = BORN + key * QUARTER // 2
            seen = fact(
                f"{project}{key}", turn=f"t{number}", at_ms=at_ms, input_tokens=tokens,
                place=namer_of(machine, project),
            )  # fmt: skip
            machine.read([seen], [ended(f"t{number}", at_ms=LATER - 9)])

        known = ledger_sums(machine.ledger)
        public = [known[key] for key in known if not str(key[1]).startswith("private/")]
        assert added_up(machine.server.sums().values()) == added_up(public)
        machine.ledger.close()
    names: defaultdict[str, set[str]] = defaultdict(set)
    for key, told in machine.server.bodies.items():
        names[told.get("corrects", key)].add(told["project"])
    assert [found for found in names.values() if len(found) > 1] == []
    assert not any("private/" in told["project"] for told in machine.server.bodies.values())


def added_up(sums: Iterable[dict[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for figures in sums:
        found.update(figures)
    return {name: value for name, value in found.items() if value}


def namer_of(machine: Machine, project: str) -> Place:
    """Name a place as its log is read: marked where it is kept by then."""
    found = place(project)
    kept = machine.device.keeps(found.cwd)
    return Place(found.cwd, f"private/{project}", project) if kept else found
