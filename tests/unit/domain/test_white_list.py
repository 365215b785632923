"""Patterns over dotted names."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventbridge.domain.white_list import (
    DEFAULT_ALLOW,
    MAX_EVENT_TYPE_LENGTH,
    PatternError,
    WhiteList,
    is_dotted_name,
)

SEGMENTS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=7)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=6)


def covers(pattern: list[str], names: list[str]) -> bool:
    """The definition, word by word: ``*`` is one segment, ``**`` one or more."""
    if not pattern or not names:
        return pattern == names
    if pattern[0] == "**":
        return any(covers(pattern[1:], names[taken:]) for taken in range(1, len(names) + 1))
    return pattern[0] in ("*", names[0]) and covers(pattern[1:], names[1:])


def test_event_filter_white_list_patterns() -> None:
    white_list = WhiteList(DEFAULT_ALLOW)

    for allowed in (
        "Genesis.Session.Started",
        "Genesis.Session.Theme.Proposed",
        "Genesis.Session.Stage.Theme.Confirmed",
        "Genesis.Session.Theme.Updated",
        "Genesis.Session.StageCompleted",
        "Genesis.Session.Finished",
        "Genesis.Session.Failed",
    ):
        assert white_list.allows(allowed), allowed
    for refused in (
        "",
        "Genesis",
        "Genesis.Session",
        "Genesis.Session.Started.Twice",
        "Genesis.Session.Proposed",
        "Genesis.Session..Proposed",
        ".Genesis.Session.Started",
        "Genesis.Session.Started.",
        "genesis.session.started",
        "Genesis.Session.Theme.Requested",
        "Genesis.Session.Theme.ProposedX",
        "XGenesis.Session.Started",
        "Genesis.SessionXStarted",
        "Genesis.Session.Started\n",
        "Billing.Session.Theme.Proposed",
    ):
        assert not white_list.allows(refused), refused


@given(PATTERNS, SEGMENTS)
@example(["**"], ["a"])
@example(["**", "**"], ["a"])
@example(["a", "**", "b", "**", "b"], ["a", "b", "b", "a", "b"])
def test_patterns_mean_what_their_definition_says(pattern: list[str], names: list[str]) -> None:
    assert WhiteList([".".join(pattern)]).allows(".".join(names)) == covers(pattern, names)


@given(st.lists(PATTERNS, max_size=4), SEGMENTS)
def test_a_list_allows_what_one_of_its_patterns_covers(patterns: list[list[str]], names: list[str]) -> None:
    white_list = WhiteList(".".join(pattern) for pattern in patterns)

    assert white_list.allows(".".join(names)) == any(covers(pattern, names) for pattern in patterns)


def test_many_double_stars_do_not_explode() -> None:
    white_list = WhiteList([".".join(["**", "a"] * 40) + ".b"])

    assert not white_list.allows(".".join(["a"] * 127))


@pytest.mark.parametrize(
    ("pattern", "position", "why"),
    [
        ("", 0, "a segment must not be empty"),
        ("Genesis..Started", 8, "a segment must not be empty"),
        (".Genesis", 0, "a segment must not be empty"),
        ("Genesis.", 8, "a segment must not be empty"),
        ("Genesis.Ses*", 11, "`*` and `**` must stand alone between dots"),
        ("Genesis.***", 8, "`*` and `**` must stand alone between dots"),
        ("Genesis.Session.Sta rted", 19, "a segment has letters, digits, `_` and `-` only, not ' '"),
        ("Genesis.Größe", 10, "a segment has letters, digits, `_` and `-` only, not '\\xf6'"),
        ("a.b\n", 3, "a segment has letters, digits, `_` and `-` only, not '\\n'"),
        ("a,b", 1, "a segment has letters, digits, `_` and `-` only, not ','"),
    ],
)
def test_a_wrong_pattern_shows_where_it_is_wrong(pattern: str, position: int, why: str) -> None:
    with pytest.raises(PatternError) as raised:
        WhiteList(["Genesis.Session.Started", pattern])

    error = raised.value
    assert (error.pattern, error.position, error.why) == (pattern, position, why)
    assert str(error) == f"pattern `{pattern}`, character {position + 1}: {why}"
    assert error.pointer == f"{pattern}\n{' ' * position}^"


@pytest.mark.parametrize("name", ["a", "Genesis.Session.Started", "a-b.c_d.0", "x" * MAX_EVENT_TYPE_LENGTH])
def test_dotted_names(name: str) -> None:
    assert is_dotted_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "a.", ".a", "a..b", "a b", "a\n", "ä", "a\u2028", "x" * (MAX_EVENT_TYPE_LENGTH + 1)]
)
def test_what_is_no_dotted_name(name: str) -> None:
    assert not is_dotted_name(name)


def test_a_type_that_is_too_long_is_allowed_by_no_pattern() -> None:
    white_list = WhiteList(["**"])

    assert white_list.allows("x" * MAX_EVENT_TYPE_LENGTH)
    assert not white_list.allows("x" * (MAX_EVENT_TYPE_LENGTH + 1))
