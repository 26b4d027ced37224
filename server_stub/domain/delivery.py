"""How often, and for how long, a delivery is tried. Pure.

The first attempts follow each other within minutes, the later ones every two hours; all together
they take about a day. Each wait is spread by a fifth, so that those who failed together do not
come back together.
"""

from __future__ import annotations

from dataclasses import dataclass

from telemhq_agents.contract.deliveries import DeliveryState

FIRST_WAIT_MS = 5_000
GROWTH = 3
LONGEST_WAIT_MS = 2 * 60 * 60 * 1000
SPREAD = 0.2
MOST_ATTEMPTS = 19
"""5 s, 15 s, 45 s … 36 min, 61 min, then every two hours: 24 hours from the first to the last."""

DAY_MS = 24 * 60 * 60 * 1000
LEASE_MS = 60_000
"""How long a worker may take over an attempt, which is bounded well below that."""

KEPT_MS = 30 * DAY_MS
"""How long a delivery that is done, and the payload it told of, can be looked at."""

NO_MAIL_SERVER = "no SMTP server is configured"

PENDING = (DeliveryState.WAITING.value, DeliveryState.HELD.value)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt went; `error` is empty when it arrived.

    `hopeless`: trying again cannot help. `retry_after_ms` is what the receiver asked for.
    """

    at_ms: int
    took_ms: int
    error: str = ""
    http_status: int | None = None
    hopeless: bool = False
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """What follows an attempt: a state, and when to try again (None: never)."""

    state: DeliveryState
    next_ms: int | None


def wait_ms(attempts: int, dice: float) -> int:
    """Return how long to wait after so many attempts; `dice` is from 0 to 1."""
    grown = FIRST_WAIT_MS * GROWTH ** min(attempts - 1, 16)
    return int(min(grown, LONGEST_WAIT_MS) * (1 + SPREAD * (2 * dice - 1)))


def after(
    attempt: Attempt, attempts: int, first_ms: int, dice: float, *, once: bool = False
) -> Next:
    """Decide what follows attempt number `attempts`; the first one was made at `first_ms`.

    `once`: somebody waits for the outcome of this very attempt, and none follows.

    A receiver that names a time is not asked before it, nor later than a day from now.
    """
    if not attempt.error:
        return Next(DeliveryState.SENT, None)
    ended_ms = attempt.at_ms + attempt.took_ms
    too_old = ended_ms - first_ms > DAY_MS
    if attempt.hopeless or once or too_old or attempts >= MOST_ATTEMPTS:
        return Next(DeliveryState.GIVEN_UP, None)
    asked_ms = min(attempt.retry_after_ms or 0, DAY_MS)
    return Next(DeliveryState.WAITING, ended_ms + max(wait_ms(attempts, dice), asked_ms))
