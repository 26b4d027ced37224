"""How rules are refused: one field at a time, or all that is wrong with them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from telemhq_agents.contract.problem import FieldProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence


class RuleError(ValueError):
    """One field of a rule cannot be as it is; `field` is its path within what was checked."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class RulesError(ProblemError):
    """Rules are refused, with everything that is wrong with them (422)."""

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        super().__init__(
            Problem(
                type="invalid-rules",
                title="Some of the tracker's rules are not as they should be",
                status=422,
                detail="; ".join(f"{error.field}: {error.message}" for error in errors),
                next="correct the fields named in errors; docs/reference/rules.md lists them",
                errors=list(errors),
            )
        )
        self.errors = tuple(errors)
