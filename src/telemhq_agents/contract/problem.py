"""One body for every error: RFC 9457 problem details (https://www.rfc-editor.org/rfc/rfc9457)."""

from __future__ import annotations

from dataclasses import dataclass, field

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that was refused and why."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What happened (`title`), to which input (`detail`, `errors`) and what to do next (`next`).

    `type` is a stable slug, `about:blank#…`-free: clients match on it, people read the rest.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    next: str = ""
    errors: list[FieldProblem] = field(default_factory=list)
