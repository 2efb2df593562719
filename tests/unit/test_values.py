from dataclasses import asdict, field, fields, replace

import pytest

from kimi_code.values import frozen


@frozen
class Point:
    """A place."""

    x: int
    y: int = 0
    key: str = field(default="", repr=False)
    names: tuple[str, ...] = field(default_factory=tuple)


@frozen
class Other:
    x: int
    y: int = 0


def test_values_compare_hash_and_show_by_their_fields() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(2, 1)
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert repr(Point(1, key="secret")) == "Point(x=1, y=0, names=())"


def test_values_of_two_classes_are_never_the_same() -> None:
    assert Other(1) != Point(1)


def test_they_are_dataclasses_with_slots() -> None:
    assert [f.name for f in fields(Point)] == ["x", "y", "key", "names"]
    assert replace(Point(1), y=5) == Point(1, 5)
    assert asdict(Other(1)) == {"x": 1, "y": 0}
    assert not hasattr(Point(1), "__dict__")
    with pytest.raises(AttributeError):
        object.__setattr__(Point(1), "z", 3)


def test_they_match_by_position() -> None:
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)
