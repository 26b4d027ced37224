"""What the OpenAPI document says of texts, so that it allows what the server takes and no more.

These describe; the domain decides, in sentences that a person can follow. `FilterText` alone also
decides: no other place looks into the values of a filter.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from server_stub.domain.channel import LONGEST_URL
from server_stub.domain.naming import MAX_EMAIL_LENGTH, MAX_NAME_LENGTH
from telemhq_agents.contract.usage_report import GROUPS

MOST_FILTER_VALUES = 100

_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_NAME = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
_MOMENT = r"^\d{4}-\d{2}-\d{2}([Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+ -]\d{2}:\d{2}))?$"
_GROUP = f"(?:{'|'.join(GROUPS)})?"


def _described(**keywords: str | int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **keywords})


Name = Annotated[str, _described(minLength=1, maxLength=MAX_NAME_LENGTH, pattern=_NAME)]
"""What people call things: 1 to 100 printable characters, not all of them blank."""

Label = Annotated[str, _described(maxLength=MAX_NAME_LENGTH, pattern=rf"^$|{_NAME}")]
"""What something is called in one place, or nothing."""

Email = Annotated[
    str, _described(minLength=3, maxLength=MAX_EMAIL_LENGTH, pattern=r"^\s*[^@\s]+@[^@\s]+\s*$")
]
Target = Annotated[
    str,
    _described(
        minLength=3,
        maxLength=LONGEST_URL,
        pattern=r"^\s*(https?://[^\s@]+|[^@\s]+@[^@\s]+)\s*$",
        description="An e-mail address, or a webhook's URL.",
    ),
]
Zone = Annotated[str, _described(minLength=1, description="IANA name, such as Asia/Kolkata.")]
Cursor = Annotated[
    str, _described(pattern="^[0-9]{1,19}$", description="`next_cursor` of the page before.")
]
Moment = Annotated[str, _described(pattern=_MOMENT)]
Groups = Annotated[str, _described(pattern=f"^{_GROUP}(?:,{_GROUP})*$")]
FilterText = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Any text but NUL, which PostgreSQL can neither store nor compare."""

FilterTexts = Annotated[list[FilterText], Field(max_length=MOST_FILTER_VALUES)]
