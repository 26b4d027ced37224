from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_stub.ingest.salvage import NOT_UTF8, SHORTENED, as_text, salvage, shortened

JSON, FORM, TEXT = "application/json", "application/x-www-form-urlencoded", "text/plain"


@pytest.mark.parametrize(
    ("body", "content_type", "query", "payload"),
    [
        (b'{"a": "x\xff", "n": 5}', JSON, b"", {"a": "x\ufffd", "n": 5}),
        (b'{"status": "error", "by": "Ren\xe9"}', TEXT, b"", {"status": "error", "by": "Ren\ufffd"}),
        (b'{"a": 1}', JSON, b"b=%FF&c=2", {"a": 1, "b": "\ufffd", "c": "2"}),
        (b"a=%FF&b=1", FORM, b"", {"a": "\ufffd", "b": "1"}),
        (b"a=\xff&b=1", FORM, b"b=2&c=3", {"a": "\ufffd", "b": "1", "c": "3"}),
        (b"", "", b"a=%00%FF", {"a": "\ufffd\ufffd"}),
        (b'{"a": NaN, "b": [-Infinity, 1]}', JSON, b"", {"a": None, "b": [None, 1]}),
        (b'{"a": -1e999, "b": "\\u0000\xff"}', TEXT, b"", {"a": None, "b": "\ufffd\ufffd"}),
        (b'{"a": ' + b"9" * 5_000 + b', "b": 1}', JSON, b"", {"a": None, "b": 1}),
    ],
)  # fmt: skip
def test_some_bytes_that_are_no_utf8_and_numbers_that_are_none_cost_no_field(
    body: bytes, content_type: str, query: bytes, payload: dict[str, object]
) -> None:
    decoded = salvage(body, content_type, query, "why")

    assert decoded.payload == payload
    assert decoded.warnings == ("why: what could be read was kept",)
    assert not decoded.is_text


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"done\n", TEXT, "done"),
        (b"\n  two\nlines \n", FORM, "\n  two\nlines"),
        (b'{"a": 1,}', JSON, '{"a": 1,}'),
        (b"[1, 2]", JSON, "[1, 2]"),
        (b'{"a": NaN,}', JSON, '{"a": NaN,}'),
        (b"[NaN]", JSON, "[NaN]"),
        (b"<ping/>", "text/xml", "<ping/>"),
        (b"\x1f\x8b\x00", "application/gzip", "\x1f\ufffd\ufffd"),
        ("done: é".encode()[:-1], TEXT, "done: \ufffd"),
        ("naïve".encode("latin-1"), "", "na\ufffdve"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, JSON, '{"a":' * 65 + "1" + "}" * 65),
        (b"&".join([b"a=1"] * 1001), FORM, "&".join(["a=1"] * 1001)),
    ],
)
def test_a_body_without_fields_is_kept_as_text(body: bytes, content_type: str, text: str) -> None:
    decoded = salvage(body, content_type, b"rid=7", "why")

    assert decoded.payload == {"rid": "7", "output_tail": text}
    assert decoded.is_text
    assert decoded.warnings[0] == "the body was kept as text (output_tail): why"


def test_whoever_means_text_is_not_told_that_it_is_text() -> None:
    assert salvage(b"done", TEXT, b"", "why", told=False).warnings == ()


def test_of_a_long_text_the_last_ten_thousand_bytes_are_kept() -> None:
    decoded = as_text(b"begin" + b"." * 9_997 + b"end", b"")

    assert decoded.payload["output_tail"] == "." * 9_997 + "end"
    assert decoded.warnings == (SHORTENED,)


@pytest.mark.parametrize("lead", [0, 1, 2, 3])
def test_a_text_is_not_cut_through_a_character(lead: int) -> None:
    decoded = as_text(b"x" * lead + "𝄞".encode() * 3_000, b"")

    assert decoded.payload["output_tail"] == "𝄞" * 2_500
    assert decoded.warnings == (SHORTENED,)


def test_a_text_of_which_only_the_end_came_says_so() -> None:
    assert as_text("é".encode()[1:] + b"end", b"", was_cut=True).payload["output_tail"] == "end"
    assert as_text(b"end", b"", was_cut=True).warnings == (SHORTENED,)


def test_bytes_that_are_no_utf8_are_warned_about() -> None:
    assert as_text(b"\xff", b"").warnings == (NOT_UTF8,)


@given(st.binary(max_size=400), st.sampled_from([JSON, FORM, TEXT, ""]), st.binary(max_size=60))
def test_whatever_bytes_come_something_storable_is_kept(
    body: bytes, content_type: str, query: bytes
) -> None:
    stored = json.dumps(salvage(body, content_type, query, "why").payload, ensure_ascii=False)

    assert "\0" not in stored
    stored.encode()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(40, 200))
def test_a_shortened_payload_fits_and_keeps_as_much_of_the_end_as_fits(
    text: str, limit: int
) -> None:
    short = shortened({"status": "error", "output_tail": text}, limit)

    assert short is not None
    size = len(json.dumps(short, ensure_ascii=False, separators=(",", ":")).encode())
    kept = short["output_tail"]
    assert size <= limit
    assert text.endswith(kept)
    if kept != text:
        more = short | {"output_tail": text[-len(kept) - 1 :]}
        longer = json.dumps(more, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(longer) > limit - 6, "a control character may take six bytes"


def test_what_is_too_large_without_its_text_cannot_be_shortened() -> None:
    assert shortened({"a": "x" * 100, "output_tail": "text"}, 100) is None
