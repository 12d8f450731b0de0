from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.upload.plan import (
    GIB,
    LARGEST_OBJECT_BYTES,
    LEAST_PART_BYTES,
    MIB,
    MOST_PARTS,
    USUAL_PART_BYTES,
    Plan,
    usual_part_size,
)


@given(size=st.integers(1, 10_000), part_size=st.integers(1, 500))
def test_the_parts_are_the_file(size: int, part_size: int) -> None:
    plan = Plan(size, part_size)
    end = 0
    for number in range(1, plan.count + 1):
        assert plan.offset_of(number) == end
        assert 0 < plan.size_of(number) <= part_size
        end += plan.size_of(number)
    assert end == size


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        (1, USUAL_PART_BYTES),
        (6 * 10**9, USUAL_PART_BYTES),
        (MOST_PARTS * USUAL_PART_BYTES, USUAL_PART_BYTES),
        (MOST_PARTS * USUAL_PART_BYTES + 1, USUAL_PART_BYTES + MIB),
        (1024 * GIB, 105 * MIB),
    ],
)
def test_parts_grow_with_the_file_when_there_would_be_too_many(size: int, part_size: int) -> None:
    assert usual_part_size(size) == part_size


@given(st.integers(1, LARGEST_OBJECT_BYTES))
def test_every_file_that_a_store_takes_can_be_cut(size: int) -> None:
    part_size = usual_part_size(size)
    assert part_size >= LEAST_PART_BYTES
    assert Plan(size, part_size).count <= MOST_PARTS
