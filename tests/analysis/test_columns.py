"""Columns as arrays, against what pyarrow itself makes of them."""

from itertools import pairwise

import numpy as np
import pandas as pd  # noqa: F401 - what pyarrow itself needs for it, before the examples are timed
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.columns import by_instance, chosen, counts, instances, is_word, numbers, words

cells = st.lists(st.none() | st.integers(-(2**53), 2**53), max_size=40)
texts = st.lists(st.none() | st.sampled_from(["ok", "pool_timeout", "", "é"]), max_size=40)


def table(values: list[object], type_: pa.DataType, cuts: list[int]) -> pa.Table:
    """The values in as many chunks as there are cuts, and a slice of a larger array each."""
    edges = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]
    parts = [pa.array([*values[a:b], None], type_).slice(0, b - a) for a, b in pairwise(edges)]
    return pa.table({"x": pa.chunked_array(parts, type_)})


@given(cells, st.lists(st.integers(0, 40), max_size=3), st.integers(0, 40), st.integers(0, 40))
def test_numbers_are_pyarrows_own(values: list[object], cuts: list[int], start: int, length: int) -> None:
    sliced = table(values, pa.int64(), cuts).slice(min(start, len(values)), length)
    np.testing.assert_array_equal(numbers(sliced, "x"), sliced["x"].cast(pa.float64()).to_numpy())


@given(texts, st.lists(st.integers(0, 40), max_size=3))
def test_words_are_found_counted_and_chosen(values: list[object], cuts: list[int]) -> None:
    column = table(values, pa.string(), cuts)["x"]
    for word in ("ok", "absent"):
        assert is_word(column, word).tolist() == [value == word for value in values]
    counted = {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}
    assert list(counts(column).items()) == list(counted.items())
    if None not in values:
        assert words(column).tolist() == values
    rows = pa.table({"x": column})
    assert chosen(rows, is_word(column, "ok"))["x"].to_pylist() == [value for value in values if value == "ok"]


def test_instances_are_in_the_order_of_their_first_samples_and_the_only_one_may_have_no_number() -> None:
    pool = pa.table({"instance": pa.array([1, 1, 0, 2, 0], pa.int64()), "size": [1, 2, 3, 4, 5]})
    assert [part["size"].to_pylist() for part in by_instance(pool)] == [[1, 2], [3, 5], [4]]
    alone = pa.table({"instance": pa.array([None, None], pa.int64())})
    assert by_instance(alone) == [alone]
    assert instances(alone).tolist() == [0, 0]
    assert by_instance(alone.slice(0, 0)) == []
