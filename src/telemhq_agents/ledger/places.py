"""Places as the ledger stores them: each once, named by its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from telemhq_agents.usage import Place


class Places:
    """Finds the row of a place, or adds it; asks once for each. `named` are those asked for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[Place, int] = {}
        self.named: dict[int, Place] = {}

    def row(self, place: Place) -> int:
        """Return the row of a place."""
        found = self._known.get(place)
        if found is None:
            found = self._known[place] = self._find(place)
            self.named[found] = place
        return found

    def _find(self, place: Place) -> int:
        names = (place.cwd, place.project, place.log_project)
        self._connection.execute(
            "INSERT OR IGNORE INTO places (cwd, project, log_project) VALUES (?, ?, ?)", names
        )
        row = self._connection.execute(
            "SELECT id FROM places WHERE cwd = ? AND project = ? AND log_project = ?", names
        )
        return int(row.fetchone()[0])
