"""Values are cut out of a text exactly as they were written, wherever its blocks end."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databases.engines.http_service import cutting
from databases.engines.http_service.cutting import Cutter, on_one_line
from jobs.errors import BackupError

# What a parser that makes objects of it would change.
EXACT = [
    "1e400",
    "0.1",
    "1.10",
    "12345678901234567890",
    "9" * 5000,
    "-0",
    "-0.0",
    "1E+2",
    "1e-7",
    r'"\u00e9 \ud83d\ude00 \/ \b"',
    r'"\ud800"',
    r'"half \udc00 pair"',
    '"é 😀 \u2028 \x7f"',
    '{"a": 1, "a": 2}',
    '{"a" :[ ],"b":{ }}',
    '{"9007199254740993": 9007199254740993}',
    "true",
    "null",
    "[]",
    '""',
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def cutter(text: bytes, size: int) -> Cutter:
    blocks = iter([text[at : at + size] for at in range(0, len(text), size)])
    return Cutter(lambda: next(blocks, b""), "it")


def listed(text: bytes, size: int) -> list[str]:
    cut = cutter(text, size)
    found: list[str] = []
    cut.take("[")
    if cut.peek() == "]":
        return found
    while True:
        found.append(cut.value())
        if cut.take(",]") == "]":
            return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_every_value_keeps_its_text(size: int) -> None:
    assert listed(f"[{','.join(EXACT)}]".encode(), size) == EXACT


@settings(max_examples=60, deadline=None)
@given(records=st.lists(values, max_size=5), size=st.integers(1, 40), indent=st.sampled_from([None, 2]))
def test_what_json_wrote_is_cut_where_it_was_joined(records: list[object], size: int, indent: int | None) -> None:
    text = json.dumps(records, indent=indent, ensure_ascii=size % 2 == 0)
    found = [on_one_line(raw) for raw in listed(text.encode(), size)]
    assert not [raw for raw in found if "\n" in raw]
    assert [json.loads(raw) for raw in found] == records


@settings(max_examples=60, deadline=None)
@given(records=st.lists(values, min_size=1, max_size=3), size=st.integers(1, 40), data=st.data())
def test_a_text_that_is_cut_anywhere_is_refused(records: list[object], size: int, data: st.DataObject) -> None:
    text = json.dumps(records, ensure_ascii=False).encode()
    length = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(BackupError) as raised:
        listed(text[:length], size)
    assert raised.value.code == "incomplete_body"


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    "text",
    [
        b"[NaN]",
        b"[-Infinity]",
        b"[1, nope, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]",
        b'[{"a": 1,}, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]',
        b"[01, 2]",
        b"[1 2]",
        b'["a\nb", 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]',
        b'["\xff"]',
        b"['a', 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]",
        b"<html>",
    ],
)
def test_what_is_no_json_is_refused(text: bytes, size: int) -> None:
    with pytest.raises(BackupError) as raised:
        listed(text, size)
    assert raised.value.code == "not_json"
    assert raised.value.permanent


def test_a_byte_order_mark_is_passed_over() -> None:
    assert listed(b"\xef\xbb\xbf[1, 2]", 2) == ["1", "2"]


def test_one_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "LONGEST", 1000)
    assert listed(b'["%s"]' % (b"x" * 998), 64)
    for long in (999, 5000):
        with pytest.raises(BackupError) as raised:
            listed(b'["%s"]' % (b"x" * long), 64)
        assert raised.value.code == "record_too_large"


def test_lists_within_lists_without_end_are_refused() -> None:
    with pytest.raises(BackupError) as raised:
        listed(b"[" * 200_000, 1 << 20)
    assert raised.value.code == "record_too_deep"


def test_a_long_value_is_not_scanned_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []

    def counted(text: str, at: int) -> tuple[object, int]:
        scans.append(len(text) - at)
        return scan(text, at)

    scan = cutting.scan
    monkeypatch.setattr(cutting, "scan", counted)
    listed(b'["%s"]' % (b"x" * 2_000_000), 1000)
    assert sum(scans) < 6_000_000
