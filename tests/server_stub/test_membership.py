"""The permission table, an invitation's outcomes, and what may be a name."""

from __future__ import annotations

import pytest

from server_stub.domain.credentials import digest, new_api_key, new_token, shown_prefix
from server_stub.domain.invitation import Acceptance, Guest, Invitation, judge
from server_stub.domain.membership import (
    Action,
    Caller,
    Membership,
    changing,
    may,
    seeing,
    who_may,
)
from server_stub.domain.naming import clean_email, clean_name
from telemhq_agents.contract.resources import Role
from telemhq_agents.errors import UsageError

EVERYBODY = {Role.MEMBER, Role.MANAGER, Role.OWNER}
LEADERS = {Role.MANAGER, Role.OWNER}


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (Action.CREATE_TRACKER, EVERYBODY),
        (Action.SEE_OWN_TRACKER, EVERYBODY),
        (Action.CHANGE_OWN_TRACKER, EVERYBODY),
        (Action.SEE_ANY_TRACKER, LEADERS),
        (Action.CHANGE_ANY_TRACKER, LEADERS),
        (Action.SEE_OWN_USAGE, EVERYBODY),
        (Action.SEE_TEAM_USAGE, LEADERS),
        (Action.SEE_MEMBERS, EVERYBODY),
        (Action.SEE_INVITATIONS, LEADERS),
        (Action.INVITE, LEADERS),
        (Action.MANAGE_METRICS_KEYS, LEADERS),
        (Action.CHANGE_ACCOUNT, LEADERS),
    ],
)
def test_each_role_may_do_what_the_table_says(action: Action, allowed: set[Role]) -> None:
    assert {role for role in Role if may(role, action)} == allowed


def test_a_tracker_of_ones_own_needs_less_than_somebody_elses() -> None:
    assert seeing(own=True) is Action.SEE_OWN_TRACKER
    assert seeing(own=False) is Action.SEE_ANY_TRACKER
    assert changing(own=True) is Action.CHANGE_OWN_TRACKER
    assert changing(own=False) is Action.CHANGE_ANY_TRACKER


def test_a_refusal_can_name_the_roles_that_it_takes() -> None:
    assert who_may(Action.INVITE) == "manager or owner"
    assert who_may(Action.CREATE_TRACKER) == "member or manager or owner"


def test_a_revoked_membership_is_known_but_opens_nothing() -> None:
    personal = Membership(1, "personal", "Ada", "UTC", Role.OWNER, "active")
    team = Membership(2, "team", "Engines", "UTC", Role.MEMBER, "revoked")
    ada = Caller(9, "ada@example.com", "Ada", 1, 5, (personal, team))

    assert ada.accounts() == (personal,)
    assert ada.membership(2) == team
    assert ada.membership(3) is None


INVITATION = Invitation(
    id=1,
    account_id=2,
    account_name="Engines",
    email="grace@example.com",
    role=Role.MEMBER,
    inviter_email="ada@example.com",
    expires_ms=1_000,
    accepted_ms=None,
)


@pytest.mark.parametrize(
    ("signed_in_as", "has_user", "is_member", "outcome"),
    [
        (None, False, False, Acceptance.NEW_USER),
        (None, True, False, Acceptance.LOG_IN_FIRST),
        (None, True, True, Acceptance.LOG_IN_FIRST),
        ("grace@example.com", True, False, Acceptance.JOIN),
        ("grace@example.com", True, True, Acceptance.ALREADY_MEMBER),
        ("eve@example.com", False, False, Acceptance.OTHER_EMAIL),
        ("eve@example.com", True, True, Acceptance.OTHER_EMAIL),
    ],
)
def test_an_invitation_ends_by_who_stands_at_the_door(
    signed_in_as: str | None, has_user: bool, is_member: bool, outcome: Acceptance
) -> None:
    guest = Guest(signed_in_as, has_user, is_member)

    assert judge(INVITATION, guest, now_ms=999) is outcome


def test_an_invitation_is_good_until_its_last_millisecond_and_only_once() -> None:
    guest = Guest(None, address_has_user=False, address_is_member=False)
    accepted = Invitation(
        id=1,
        account_id=2,
        account_name="Engines",
        email="grace@example.com",
        role=Role.MEMBER,
        inviter_email="ada@example.com",
        expires_ms=1_000,
        accepted_ms=500,
    )

    assert judge(INVITATION, guest, now_ms=1_000) is Acceptance.EXPIRED
    assert judge(accepted, guest, now_ms=600) is Acceptance.ALREADY_ACCEPTED
    assert judge(accepted, guest, now_ms=1_000) is Acceptance.ALREADY_ACCEPTED


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("ada+ci@sub.example.co.uk", "ada+ci@sub.example.co.uk"),
        ("root@localhost", "root@localhost"),
        ("ada.lovelace@example.com\n", "ada.lovelace@example.com"),
    ],
)
def test_an_address_is_kept_stripped_and_in_lower_case(given: str, kept: str) -> None:
    assert clean_email(given) == kept


@pytest.mark.parametrize(
    "given",
    ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c.d", "a@b..c", "a@.b", "a@b.", "a\x00@b.c",
     "Ada <ada@example.com>", "x" * 250 + "@b.cd"],
)  # fmt: skip
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="not an e-mail address"):
        clean_email(given)


def test_a_name_has_1_to_100_printable_characters() -> None:
    assert clean_name("  Nächtlicher Import ☂ ") == "Nächtlicher Import ☂"
    assert clean_name("x" * 100) == "x" * 100
    for refused in ("", "   ", "x" * 101, "two\nlines", "bell\x07"):
        with pytest.raises(UsageError):
            clean_name(refused)


def test_secrets_are_unlike_each_other_and_only_their_digest_is_the_same_again() -> None:
    key = new_api_key()

    assert key.startswith("thq_")
    assert len(key) == 47
    assert key != new_api_key()
    assert len(new_token()) == 24
    assert new_token() != new_token()
    assert shown_prefix(key) == key[:12]
    # FIPS 180-2, appendix B.1
    assert digest("abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
