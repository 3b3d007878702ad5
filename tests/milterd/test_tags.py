from __future__ import annotations

import pytest

from milterd import tags

NAME = "X-Franking-Tags"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([b" "], []),
        ([b" spring, newsletter "], ["spring", "newsletter"]),
        ([b' "spring, order 7"'], ["spring", "order 7"]),
        ([b" a,\n\tb"], ["a", "b"]),
        ([b" a, b", b" b, c"], ["a", "b", "c"]),
        ([b" a:b/c@d_e.f-g+h"], ["a:b/c@d_e.f-g+h"]),
        ([b" " + b"x" * 64], ["x" * 64]),
    ],
)
def test_good(values: list[bytes], expected: list[str]) -> None:
    assert tags.parse(values, NAME) == (expected, [])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([b" a,,b"], "empty tag"),
        ([b" " + b"x" * 65], "longer than 64"),
        ([b" 50%"], "other characters"),
        ([b" <script>"], "other characters"),
        ([b" caf\xc3\xa9"], "other characters"),
        ([b" \xff"], "other characters"),
        ([b" a,b,c,d,e,f"], "has 6 tags"),
        ([b" a\x00b"], "other characters"),
    ],
)
def test_bad(values: list[bytes], words: str) -> None:
    found, errors = tags.parse(values, NAME)
    assert found == []
    assert words in errors[0]
    assert NAME in errors[0]
    assert "," not in errors[0]  # the reply joins errors with commas


def test_every_bad_tag_is_named() -> None:
    assert len(tags.parse([b"50%, ok, " + b"x" * 65], NAME)[1]) == 2
