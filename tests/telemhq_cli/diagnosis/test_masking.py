"""No secret of this machine is in what the doctor says."""

from __future__ import annotations

from telemhq_agents.credentials import Credentials, Destination, Device, Profile
from telemhq_cli.diagnosis.finding import Finding, Severity
from telemhq_cli.diagnosis.masking import secrets_in, without_secrets

KEY, TOKEN, OTHER = "an-unusual-key-of-34-letters", "tt_AbCdEf0123456789", "zz-another-token"
SALT, NAME_KEY = "0f" * 16, "name-key-of-the-account"
HELD = Credentials(
    device=Device("d-1", SALT),
    profiles={"default": Profile("default", "https://s", api_key=KEY)},
    destinations={
        "x": Destination("x", f"https://s/ping/{TOKEN}", "codex", label="Shop", name_key=NAME_KEY)
    },
    trackers={"default/nightly": f"https://s/ping/{OTHER}/start"},
)


def said(text: str) -> str:
    [found] = without_secrets(
        [Finding("x", Severity.OK, text, f"curl {text}")], secrets_in(HELD, "env-key-of-ours")
    )
    assert found.next_step == f"curl {found.message}"
    return found.message


def test_every_secret_of_the_machine_is_masked_wherever_it_stands() -> None:
    for secret in (KEY, TOKEN, OTHER, SALT, NAME_KEY, "env-key-of-ours"):
        assert said(f"it said <{secret}>.") == "it said <[masked]>."


def test_what_has_the_shape_of_a_secret_is_masked_though_nobody_knows_it() -> None:
    assert "a" * 32 not in said(f"webhook whsec_{'a' * 32}")
    assert "thq_" not in said("thq_a_key_of_somebody_else")


def test_other_words_stay() -> None:
    text = "Usage goes: codex to Shop; No price is known for nimbus (12,000 tokens)."

    assert said(text) == text


def test_a_machine_without_secrets_masks_nothing() -> None:
    assert secrets_in(Credentials(), "") == []
