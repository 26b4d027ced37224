"""Stored records as the contract's resources: ids as text, times as RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from server_stub.domain.rules import read as read_rules
from server_stub.domain.schedule import in_words
from telemhq_agents.clock import to_iso
from telemhq_agents.contract import judging, resources, routes
from telemhq_agents.contract.amounts import usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server_stub.domain.invitation import Invitation
    from server_stub.domain.membership import Caller, Membership
    from server_stub.domain.replay import Replay
    from server_stub.domain.tracker import Tracker
    from server_stub.domain.tracker_file import ChangedTracker, KnownTracker
    from server_stub.store.accounts import AccountMember
    from server_stub.store.rules import StoredRules
    from server_stub.store.runs import StoredRun
    from server_stub.store.transitions import StoredTransition
    from server_stub.store.users import StoredKey
    from telemhq_agents.contract.rules import Assertion, Rules, Schedule


def account(membership: Membership) -> resources.Account:
    return resources.Account(
        id=str(membership.account_id),
        kind=membership.kind,
        name=membership.account_name,
        timezone=membership.timezone,
        role=membership.role,
    )


def me(caller: Caller) -> resources.Me:
    return resources.Me(
        id=str(caller.user_id),
        email=caller.email,
        name=caller.name,
        default_account=str(caller.default_account_id),
        accounts=[account(membership) for membership in caller.accounts()],
    )


def api_key(key: StoredKey) -> resources.ApiKey:
    return resources.ApiKey(
        id=str(key.id),
        name=key.name,
        prefix=key.prefix,
        created_at=to_iso(key.created_ms),
        last_used_at=_moment(key.last_used_ms),
        revoked_at=_moment(key.revoked_ms),
    )


def tracker(stored: Tracker, runs: int, public_url: str) -> resources.Tracker:
    path = routes.PING.format(tracking_token=stored.tracking_token)
    return resources.Tracker(
        id=str(stored.id),
        account=str(stored.account_id),
        name=stored.name,
        ping_url=public_url + path,
        state=stored.state,
        owner=stored.owner_email,
        created_at=to_iso(stored.created_ms),
        device_id=stored.device_id,
        source=stored.source,
        last_run_at=_moment(stored.last_run_ms),
        last_status=stored.last_status,
        runs=runs,
        due_at=_moment(stored.due_ms),
        schedule=_words(read_rules(stored.rules)),
        rules_revision=stored.rules_revision,
        failing_since=_moment(stored.failing_since_ms),
        cause=stored.cause,
    )


def rules(stored: StoredRules) -> judging.TrackerRules:
    return judging.TrackerRules(stored.revision, stored.rules, _words(stored.rules))


def transition(stored: StoredTransition) -> judging.Transition:
    return judging.Transition(
        id=str(stored.id),
        from_state=stored.before,
        to_state=stored.after,
        at=to_iso(stored.at_ms),
        noted_at=to_iso(stored.noted_ms),
        cause=stored.cause,
        message=stored.message,
        run=None if stored.run_id is None else str(stored.run_id),
        untold=stored.untold,
    )


def replay(assertions: Sequence[Assertion], tried: Replay) -> judging.AssertionReplay:
    failed = sum(one.failed for one in tried.broken)
    return judging.AssertionReplay(
        assertions=list(assertions),
        runs=tried.looked_at,
        failed=failed,
        warned=len(tried.broken) - failed,
        broken=[
            judging.ReplayedRun(
                str(one.run.id), to_iso(one.run.ended_ms), one.failed, list(one.verdicts)
            )
            for one in tried.broken
        ],
    )


def schedule(explained: Schedule, moments: Sequence[int]) -> judging.ScheduleExplanation:
    zone = ZoneInfo(explained.timezone)
    upcoming = [judging.Moment(to_iso(ms), _local(ms, zone)) for ms in moments]
    return judging.ScheduleExplanation(explained, in_words(explained), upcoming)


def known_tracker(known: KnownTracker) -> judging.TrackerChange:
    return judging.TrackerChange(known.name, str(known.id), known.owner_email)


def changed_tracker(changed: ChangedTracker) -> judging.TrackerChange:
    known = changed.tracker
    return judging.TrackerChange(known.name, str(known.id), known.owner_email, list(changed.fields))


def run(stored: StoredRun) -> resources.Run:
    amounts = stored.amounts
    return resources.Run(
        id=str(stored.id),
        kind=stored.kind,
        received_at=to_iso(stored.received_ms),
        ended_at=to_iso(stored.ended_ms),
        status=stored.status,
        failed=amounts.failures > 0,
        provider=stored.provider,
        model=stored.model,
        project=stored.project,
        source=stored.source,
        session_id=stored.session_id,
        thread_id=stored.thread_id,
        input_tokens=amounts.input_tokens,
        cached_input_tokens=amounts.cached_input_tokens,
        cache_write_tokens=amounts.cache_write_tokens,
        output_tokens=amounts.output_tokens,
        reasoning_tokens=amounts.reasoning_tokens,
        total_tokens=amounts.total_tokens,
        cost_usd=usd(amounts.cost_nano) if stored.has_cost else None,
        duration_ms=amounts.duration_ms if stored.has_duration else None,
        payload=stored.payload,
        outcome=stored.outcome,
        verdicts=list(stored.verdicts),
    )


def member(stored: AccountMember) -> resources.Member:
    return resources.Member(
        id=str(stored.id),
        email=stored.email,
        name=stored.name,
        role=stored.role,
        state=stored.state,
        joined_at=to_iso(stored.joined_ms),
    )


def invitation(stored: Invitation, link: str = "") -> resources.Invitation:
    return resources.Invitation(
        id=str(stored.id),
        team=str(stored.account_id),
        team_name=stored.account_name,
        email=stored.email,
        role=stored.role,
        invited_by=stored.inviter_email,
        expires_at=to_iso(stored.expires_ms),
        link=link,
        accepted_at=_moment(stored.accepted_ms),
    )


def _moment(ms: int | None) -> str | None:
    return None if ms is None else to_iso(ms)


def _words(judged_by: Rules) -> str:
    return "" if judged_by.schedule is None else in_words(judged_by.schedule)


def _local(ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone).isoformat()
