from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fmnist_jax.files.markdown import escape, markdown_table

CELLS = st.text(st.sampled_from("ab|\\*_`<[](\n "), max_size=8)


def test_a_table_is_a_header_a_rule_and_rows():
    lines = markdown_table(["arm", "loss", "note"], [["adam", "0.25", "best"], ["sgd", "0.31", ""]], "lrc").splitlines()
    assert lines == [
        "| arm | loss | note |",
        "| --- | ---: | :---: |",
        "| adam | 0.25 | best |",
        "| sgd | 0.31 |  |",
    ]


def test_columns_are_left_aligned_by_default():
    assert markdown_table(["a", "b"], []) == "| a | b |\n| --- | --- |"


def test_headers_are_escaped_like_cells():
    table = markdown_table(["|x|", "*y*"], [["|x|", "*y*"]]).splitlines()
    assert table[0] == table[2] == r"| \|x\| | \*y\* |"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("learning_rate", "learning_rate"),
        ("_private_", r"\_private\_"),
        ("[0.1, 0.2]", "[0.1, 0.2]"),
        ("[a](b)", r"[a]\(b)"),
        ("two\nlines", "two lines"),
        ("<b> `c` \\", r"\<b> \`c\` \\"),
    ],
)
def test_escape(text, escaped):
    assert escape(text) == escaped


@given(st.lists(CELLS, min_size=2, max_size=2), st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=3))
def test_no_cell_adds_a_row_or_a_column(header, rows):
    lines = markdown_table(header, rows).split("\n")
    assert len(lines) == 2 + len(rows)
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3


@pytest.mark.parametrize(("rows", "alignment"), [([["a"]], ""), ([["a", "b"]], "l")])
def test_columns_must_agree(rows, alignment):
    with pytest.raises(ValueError, match="2 columns"):
        markdown_table(["x", "y"], rows, alignment)
