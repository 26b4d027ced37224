"""What people read: public pages and the mail of summaries, from templates."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def rendered(template: str, **words: Any) -> str:  # noqa: ANN401 - whatever a template shows
    """Fill in a template of web/templates; HTML and SVG are escaped."""
    return _environment().get_template(template).render(words)


@cache
def style(template: str) -> str:
    """Return a stylesheet to stand in a page."""
    return rendered(template)


@cache
def style_policy(template: str) -> str:
    """Return the Content-Security-Policy that allows a page this stylesheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style(template).encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors *"
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("server_stub.web"),
        autoescape=select_autoescape(("html", "svg")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
