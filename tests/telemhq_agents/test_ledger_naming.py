from __future__ import annotations

from typing import TYPE_CHECKING, cast

from telemhq_agents.ledger import naming
from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Place
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, fact

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from telemhq_agents.pricing import Prices


def test_the_newest_come_first_and_an_old_session_by_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite3"
    with Ledger.open(
        path, prices=cast("Prices", FlatPrices()), now_ms=lambda: BORN + 9 * QUARTER
    ) as ledger:
        ledger.book(
            Batch(
                [
                    fact(
                        f"f{number}",
                        turn=f"t{number}",
                        at_ms=BORN + number * QUARTER,
                        session_id=f"s{number}",
                        place=Place(f"/srv/{number % 2}", f"p{number % 2}", ""),
                    )
                    for number in range(5)
                ]
            )
        )
    whole = naming.names(str(path))
    monkeypatch.setattr(naming, "LOOKED_AT", 1)
    short = naming.names(str(path))
    by_beginning = naming.names(str(path), "s1")

    assert [one.id for one in whole.sessions] == ["s4", "s3", "s2", "s1", "s0"]
    assert whole.projects == ("p0", "p1")
    assert [one.id for one in short.sessions] == ["s4"]
    assert [(one.id, one.project) for one in by_beginning.sessions] == [("s4", "p0"), ("s1", "p1")]


def test_no_ledger_and_no_database_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"not a database at all, but long enough to be one" * 50)

    assert naming.names(str(tmp_path / "none")) == naming.Named()
    assert naming.names(str(tmp_path / "broken")) == naming.Named()
    assert not (tmp_path / "none").exists()
