"""Schedules in words, before anybody depends on them."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from typing import Annotated

from fastapi import APIRouter, Query

from server_stub.api import shapes
from server_stub.api.caller import CurrentCaller
from server_stub.api.documented import refusing
from server_stub.api.texts import FilterText
from server_stub.domain.rule_error import RuleError, RulesError
from server_stub.domain.schedule import check, upcoming
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import judging, routes
from telemhq_agents.contract.judging import MOST_UPCOMING
from telemhq_agents.contract.problem import FieldProblem
from telemhq_agents.contract.rules import DEFAULT_GRACE_S, Schedule

router = APIRouter(tags=["rules"])

DEFAULT_UPCOMING = 5
LONGEST_S = 366 * 24 * 3600


@router.get(routes.SCHEDULE_EXPLANATION, responses=refusing(401))
def explain_schedule(
    _caller: CurrentCaller,
    cron: Annotated[FilterText, Query(description="Five fields, or an alias like @daily.")] = "",
    interval_s: Annotated[int, Query(ge=0, le=LONGEST_S)] = 0,
    timezone: FilterText = "UTC",
    grace_s: Annotated[int, Query(ge=0, le=LONGEST_S)] = DEFAULT_GRACE_S,
    count: Annotated[int, Query(ge=1, le=MOST_UPCOMING)] = DEFAULT_UPCOMING,
) -> judging.ScheduleExplanation:
    """Say a schedule in words and when its next pings are expected, counted from now.

    Give `cron` with `timezone`, or `interval_s`.
    """
    schedule = Schedule(cron, interval_s, timezone, grace_s)
    try:
        check(schedule)
        moments = upcoming(schedule, now_ms(), count)
    except RuleError as error:
        raise RulesError([FieldProblem(error.field, error.message)]) from error
    return shapes.schedule(schedule, moments)
