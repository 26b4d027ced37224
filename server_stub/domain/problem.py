"""The server's one way to say no: an exception that carries the problem body to answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemhq_agents.contract.problem import Problem


class ProblemError(Exception):
    """A request cannot be done as asked; the edge answers with `problem` (problems.py)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem
