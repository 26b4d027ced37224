"""Text without the secrets whose shape is known: what may be kept, or shown, of a job's words. Pure.

A net, not a proof: a password that looks like any word passes where nothing names it.
"""

from __future__ import annotations

import re

MASK = "[masked]"

_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=[\[0-9;]m))"
"""Where a token may begin: after no letter, but for those that end `\\n` and a terminal's colour."""
_QUOTED = r"\"(?:\\.|[^\"\\\r\n])*\"?|'[^'\r\n]*'?"
_MASKED = r"\[masked\]"

_TOKENS = (
    r"sk-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic (sk-ant-)
    r"(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9+/=_-]{10,}",  # Stripe
    r"gh[oprsu]_[A-Za-z0-9_]{16,}",
    r"github_pat_[A-Za-z0-9_]{16,}",
    r"glpat-[A-Za-z0-9_.-]{16,}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
    r"AIza[A-Za-z0-9_-]{30,}",  # Google
    r"ya29\.[A-Za-z0-9_-]{16,}",
    r"xox[a-z]-[A-Za-z0-9-]{8,}",  # Slack
    r"(?:npm|hf)_[A-Za-z0-9]{20,}",
    r"pypi-[A-Za-z0-9_-]{16,}",
    r"(?:gsk|r8|dop_v1|shpat)_[A-Za-z0-9]{20,}",  # Groq, Replicate, DigitalOcean, Shopify
    r"(?:xai|pplx|xapp|GOCSPX)-[A-Za-z0-9_-]{20,}",  # xAI, Perplexity, Slack, Google
    r"(?:SG|hv[bs])\.[A-Za-z0-9._-]{20,}",  # SendGrid, Vault
    r"thq_[A-Za-z0-9_-]{8,}",  # this product's API keys
    r"(?<![_-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}",  # JWT (RFC 7519)
)
"""Tokens that say whose they are."""

_SHAPES: tuple[tuple[str, str], ...] = (
    # Whole blocks first: what is inside of them is of no other shape. One that was cut off ends
    # where the text does.
    (
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
        MASK,
    ),
    # Addresses: user and password; this product's own ping URLs and invitations, Slack's hooks.
    (r"(://)[^\s/?#\"'<>@](?:[^\s/?#\"'<>]{0,300})@", rf"\1{MASK}@"),
    (r"(/(?:ping|invitations)/)[A-Za-z0-9_-]{8,}", rf"\1{MASK}"),
    (r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_-]+", rf"\1{MASK}"),
    (f"{_START}(?:{'|'.join(_TOKENS)})", MASK),
    # Values that a name gives away: headers, assignments, JSON, YAML, options of a command.
    (r"(?i)((?:authorization|cookie)[\\\"']{0,4}[ \t]{0,8}[:=])[ \t]{0,8}[^\r\n]+", rf"\1 {MASK}"),
    (r"(?i)(\bbearer[ \t]+)[A-Za-z0-9._~+/=-]{8,}", rf"\1{MASK}"),
    (
        (
            r"(?i)((?:(?<![a-z])pass|passw(?:or)?d|passphrase|pwd|secret|token|credentials?|signature"
            r"|(?:api|access|account|auth|encryption|private|secret|signing)[_-]?key)"
            r"[\\\"']{0,4}[ \t]{0,8}[:=][ \t]{0,8})"
            rf"(?:{_MASKED}|{_QUOTED}|\\{{1,2}}\"[^\"\r\n]*\"?|\\{{1,2}}'[^'\r\n]*'?|[^\s&]+)"
        ),
        rf"\1{MASK}",
    ),
    (
        (
            r"(?i)(--(?:[a-z]+-)?(?:password|passphrase|secret|token|api-key|access-key)[ \t]+)"
            rf"(?:{_MASKED}|{_QUOTED}|[^\s\"'-][^\s]*)"
        ),
        rf"\1{MASK}",
    ),
)
SHAPES = tuple((re.compile(shape), instead) for shape, instead in _SHAPES)
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{1,100}\s*")


def masked(text: str) -> str:
    """Return `text` with `MASK` in place of every secret of a known shape; the rest is untouched.

    Takes time in proportion to the text's length. Masking twice changes nothing more.
    """
    for shape, instead in SHAPES:
        text = shape.sub(instead, text)
    return _without_headless_keys(text)


def _without_headless_keys(text: str) -> str:
    """Mask private keys whose first lines were cut off: base64, line by line, up to an end mark."""
    if _KEY_ENDS.search(text) is None:
        return text
    kept: list[str] = []
    for line in text.splitlines(keepends=True):
        ends = [found.end() for found in _KEY_ENDS.finditer(line)]
        if not ends:
            kept.append(line)
            continue
        while kept and _KEY_LINE.fullmatch(kept[-1]):
            kept.pop()
        kept.append(MASK + line[ends[-1] :])
    return "".join(kept)
