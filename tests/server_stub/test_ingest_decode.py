from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server_stub.domain.problem import ProblemError
from server_stub.ingest.decode import decode

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "content_type", "query", "payload"),
    [
        (b"", "", b"", {}),
        (b"", JSON, b"", {}),
        (b" \r\n", JSON, b"", {}),
        (b"{}", JSON, b"", {}),
        (
            b'{"a": 1, "b": {"c": [true, null, 1.5]}}',
            JSON,
            b"",
            {"a": 1, "b": {"c": [True, None, 1.5]}},
        ),
        (b'{"a": 1}', "application/json; charset=utf-8", b"", {"a": 1}),
        (b'{"a": 1}', "application/vnd.me+json", b"", {"a": 1}),
        (b'{"a": 1}', "", b"", {"a": 1}),
        (b'{"a": 1}', "text/plain", b"", {"a": 1}),
        (b'{"a": 1}', "application/octet-stream", b"", {"a": 1}),
        # What `curl -d '{...}'` sends.
        (b'{"a": 1}', FORM, b"", {"a": 1}),
        (b"\xef\xbb\xbf" + b'{"a": 1}', JSON, b"", {"a": 1}),
        (b'{"a": "\xc3\xa9"}', JSON, b"", {"a": "é"}),
        (b'{"a": 1, "a": 2}', JSON, b"", {"a": 2}),
        (b"a=1&b=x+y&c=%C3%A9&d=", FORM, b"", {"a": "1", "b": "x y", "c": "é", "d": ""}),
        (b"a=1&a=2\n", FORM, b"", {"a": "2"}),
        (b"&a=1&&flag&b[c]=two words&", FORM, b"", {"a": "1", "flag": "", "b[c]": "two words"}),
        (b"", "", b"status=ok&tokens=5", {"status": "ok", "tokens": "5"}),
        (b"", "", b"a=1&a=2", {"a": "2"}),
        # The body wins over the query.
        (b'{"a": 1}', JSON, b"a=2&b=3", {"a": 1, "b": "3"}),
        (b"a=1", FORM, b"a=2&b=3", {"a": "1", "b": "3"}),
        (b'{"a": "[[[[{{{{\\"[["}', JSON, b"", {"a": '[[[[{{{{"[['}),
    ],
)
def test_what_is_sent_becomes_one_payload(
    body: bytes, content_type: str, query: bytes, payload: dict[str, Any]
) -> None:
    assert decode(body, content_type, query) == (payload, ())


@pytest.mark.parametrize(
    ("body", "content_type", "query", "status", "said"),
    [
        (b'{"a": 1,}', JSON, b"", 400, "broken JSON at line 1, column 9"),
        (b'{"a": 1,\n "b" 2}', JSON, b"", 400, "broken JSON at line 2, column 6"),
        (b'\n\n{"a": 1', JSON, b"", 400, "broken JSON at line 3, column 8"),
        (b'{"a": 1} {"b": 2}', JSON, b"", 400, "broken JSON at line 1, column 10"),
        (b"{'a': 1}", JSON, b"", 400, "broken JSON at line 1, column 2"),
        (b"hello", JSON, b"", 400, "broken JSON at line 1, column 1"),
        (b"a=1", JSON, b"", 400, "broken JSON at line 1, column 1"),
        (b'{"a": "\x01"}', JSON, b"", 400, "broken JSON at line 1, column 8"),
        (b'{"a": \x00}', JSON, b"", 400, "broken JSON at line 1, column 7"),
        (b"[1, 2]", JSON, b"", 400, "the body is a list, not a JSON object"),
        (b'"text"', JSON, b"", 400, "the body is a string, not a JSON object"),
        (b"5", JSON, b"", 400, "the body is a number, not a JSON object"),
        (b"true", JSON, b"", 400, "the body is true or false, not a JSON object"),
        (b"null", JSON, b"", 400, "the body is null, not a JSON object"),
        (b'{"a": NaN}', JSON, b"", 400, "NaN is not a JSON number"),
        (b'{"a": Infinity}', JSON, b"", 400, "Infinity is not a JSON number"),
        (b'{"a": -Infinity}', JSON, b"", 400, "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', JSON, b"", 400, "the number 1e999 is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", JSON, b"", 400, "a number of 5000 digits is too long"),
        (b'{"a": "\xff"}', JSON, b"", 400, "byte 7 of the body is not UTF-8"),
        (b'{"\xc3": 1}', JSON, b"", 400, "byte 2 of the body is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), JSON, b"", 400, "byte 0 of the body is not UTF-8"),
        (b"[" * 60_000, JSON, b"", 400, "nests objects and lists more than 64 deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, JSON, b"", 400, "more than 64 deep"),
        (b"a=%FF", FORM, b"", 400, "the body is not UTF-8"),
        (b"a=\xff", FORM, b"", 400, "the body is not UTF-8"),
        (b"&".join([b"a=1"] * 1001), FORM, b"", 400, "the body holds more than 1000 fields"),
        (b"done", FORM, b"", 400, "does not look like form fields"),
        (b"Backup of 5 files: status=ok", FORM, b"", 400, "does not look like form fields"),
        (b"a=1\nb=2", FORM, b"", 400, "does not look like form fields"),
        (b"", "", b"a=%FF", 400, "the query is not UTF-8"),
        (b"<ping/>", "text/xml", b"", 415, "'text/xml' and does not look like JSON"),
        (b"--x\r\n", "multipart/form-data; boundary=x", b"", 415, "'multipart/form-data'"),
        (b"\x1f\x8b", "application/gzip", b"", 415, "'application/gzip'"),
    ],
)
def test_what_cannot_be_read_is_a_clear_problem(
    body: bytes, content_type: str, query: bytes, status: int, said: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        decode(body, content_type, query)

    problem = caught.value.problem
    assert problem.status == status
    assert said in problem.detail
    assert problem.next


def test_nesting_up_to_the_limit_is_taken() -> None:
    body = b'{"a":' * 64 + b"1" + b"}" * 64

    payload, _ = decode(body, JSON, b"")

    for _ in range(63):
        payload = payload["a"]
    assert payload == {"a": 1}


@pytest.mark.parametrize(
    ("body", "content_type", "query", "payload"),
    [
        (
            b'{"a\\u0000b": ["\\u0000", {"c": "x\\u0000"}]}',
            JSON,
            b"",
            {"a\ufffdb": ["\ufffd", {"c": "x\ufffd"}]},
        ),
        (b'{"a": "\\ud83d!"}', JSON, b"", {"a": "\ufffd!"}),
        (b"a=x%00y", FORM, b"", {"a": "x\ufffdy"}),
        (b"a=x\x00y", FORM, b"", {"a": "x\ufffdy"}),
        (b"", "", b"a=%00", {"a": "\ufffd"}),
    ],
)
def test_characters_that_no_database_holds_are_replaced_and_warned_about(
    body: bytes, content_type: str, query: bytes, payload: dict[str, Any]
) -> None:
    decoded, warnings = decode(body, content_type, query)

    assert decoded == payload
    assert len(warnings) == 1


def test_an_escaped_backslash_before_u0000_is_plain_text() -> None:
    assert decode(b'{"a": "\\\\u0000"}', JSON, b"") == ({"a": "\\u0000"}, ())


@given(
    st.binary(max_size=200),
    st.sampled_from([JSON, FORM, "", "text/plain", "text/xml", "multipart/form-data"]),
    st.binary(max_size=50),
)
@example(b'{"a":"\\ud800\\u0000"}', JSON, b"%00=\xff")
@example(b"\xef\xbb\xbf", JSON, b"")
def test_any_bytes_become_a_payload_or_a_problem(
    body: bytes, content_type: str, query: bytes
) -> None:
    try:
        payload, _ = decode(body, content_type, query)
    except ProblemError as error:
        assert error.problem.status in {400, 415}  # noqa: PT017 - either outcome is fine
    else:
        json.dumps(payload, ensure_ascii=False).encode()
        assert "\0" not in json.dumps(payload, ensure_ascii=False)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abcdef", min_size=1), JSON_VALUES, max_size=5))
def test_every_json_object_arrives_as_it_was_sent(payload: dict[str, Any]) -> None:
    assert decode(json.dumps(payload).encode(), JSON, b"") == (payload, ())
