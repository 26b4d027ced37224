"""Stored records as the contract's resources: ids as text, times as RFC 3339."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.clock import to_iso
from telemhq_agents.contract import resources, routes
from telemhq_agents.contract.amounts import usd

if TYPE_CHECKING:
    from server_stub.domain.invitation import Invitation
    from server_stub.domain.membership import Caller, Membership
    from server_stub.domain.tracker import Tracker
    from server_stub.store.accounts import AccountMember
    from server_stub.store.runs import StoredRun
    from server_stub.store.users import StoredKey


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
    )


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
