from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.json_files import finite, json_lines, write_json

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=_VALUES)
def test_json_reads_back_with_null_for_what_is_not_finite(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)

    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    expected = finite(value)
    assert json.loads(path.read_text(), parse_constant=refuse) == expected
    assert [json.loads(line, parse_constant=refuse) for line in json_lines([value] * 2).splitlines()] == [expected] * 2


def test_finite_replaces_only_what_is_not():
    value = {"a": [1.5, math.nan, {"b": math.inf}], "c": (-math.inf, None, "nan", True), "d": np.float64("nan")}
    assert finite(value) == {"a": [1.5, None, {"b": None}], "c": [None, None, "nan", True], "d": None}


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_else(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkdirError, match=r"file/summary\.json cannot be written"):
        write_json(tmp_path / "file" / "summary.json", {})
