from __future__ import annotations

import pytest

from milterd import tags

NAME = "X-Franking-Tags"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], [], id="no header"),
        pytest.param([b" "], [], id="an empty one"),
        pytest.param([b" spring, newsletter "], ["spring", "newsletter"], id="a list"),
        pytest.param([b' "spring, order 7"'], ["spring", "order 7"], id="quoted as a whole"),
        pytest.param([b' "spring", "order 7"'], ["spring", "order 7"], id="quoted one by one"),
        pytest.param([b" a,\n\tb"], ["a", "b"], id="folded"),
        pytest.param([b" a\n\tb"], ["a b"], id="folded within a tag"),
        pytest.param([b" a, b", b" b, c"], ["a", "b", "c"], id="twice, each tag once"),
        pytest.param([b" a, b,"], ["a", "b"], id="a comma at the end"),
        pytest.param([b" 50% <off>"], ["50% <off>"], id="signs"),
        pytest.param([b" =?utf-8?q?K=C3=A4se=2C_Brot?="], ["Käse", "Brot"], id="encoded list"),
        pytest.param(["Käse".encode()], ["Käse"], id="UTF-8"),
        pytest.param([b" " + b"x" * 64], ["x" * 64], id="64 characters"),
        pytest.param([b"a,b,c,d,e"], list("abcde"), id="five"),
        pytest.param([b"a,b,c,d,e,a"], list("abcde"), id="five and one again"),
    ],
)
def test_good(values: list[bytes], expected: list[str]) -> None:
    assert tags.parse(values, NAME) == (expected, [])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param([b" a,,b"], "empty tag", id="nothing between commas"),
        pytest.param([b' ""'], None, id="empty quotes are no tag"),
        pytest.param([b" " + b"x" * 65], "longer than 64", id="65 characters"),
        pytest.param([b" \xff"], "cannot be printed", id="no UTF-8"),
        pytest.param([b" a,b,c,d,e,f"], "has 6 tags", id="six"),
        pytest.param([b" a\x00b"], "cannot be printed", id="NUL"),
        pytest.param([b" =?utf-8?b?YQBi?="], "cannot be printed", id="encoded NUL"),
        pytest.param(["a\u202eb".encode()], "cannot be printed", id="right-to-left override"),
    ],
)
def test_bad(values: list[bytes], words: str | None) -> None:
    found, errors = tags.parse(values, NAME)
    assert found == []
    if words is None:
        assert errors == []
        return
    assert words in errors[0]
    assert NAME in errors[0]
    assert "," not in errors[0]  # the reply joins errors with commas


def test_every_bad_tag_is_named() -> None:
    assert len(tags.parse([b"\xff, ok, " + b"x" * 65], NAME)[1]) == 2
