from __future__ import annotations

from html.parser import HTMLParser

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fmnist_jax.report import page
from fmnist_jax.report.markup import Markup, element, join, void
from fmnist_jax.report.wording import (
    count,
    counted,
    decimal,
    duration,
    listed,
    p_value,
    percent,
    points,
    points_between,
    probability,
    setting,
)

SPACE = "\N{NO-BREAK SPACE}"


class _Reader(HTMLParser):
    """Collects the text and the attributes of a fragment, as a browser would read them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text, self.attributes = "", {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data):
        self.text += data


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs", "Cc"]), max_size=30)


@given(TEXTS, TEXTS)
def test_any_text_stays_text(content, attribute):
    found = _Reader(element("p", content, title=attribute))
    assert (found.tags, found.text, found.attributes) == (["p"], content, {"title": attribute})


def test_only_markup_is_taken_as_it_is():
    assert join("<b>", Markup("<i>"), 3) == "&lt;b&gt;<i>3"
    assert void("img", alt='"><script>', data_x=1) == '<img alt="&quot;&gt;&lt;script&gt;" data-x="1">'


@pytest.mark.parametrize(
    "part",
    [
        page.section("<x>", level=3, anchor="<x>"),
        page.verdict("<x>", ["<x>", "<x>"], "<x>"),
        page.banner("bad", "<x>", "<x>"),
        page.headline([page.Figure("<x>", "<x>", "<x>")]),
        page.table("<x>", ["<x>"], [["<x>", "<x>"]]),
        page.picture(page.Picture("x", b"", "<x>", "<x>")),
        page.paragraphs("<x>"),
        page.bullets(["<x>"]),
        page.command("<x>"),
        page.page("<x>"),
    ],
)
def test_every_part_escapes_its_texts(part):
    assert "<x>" not in part
    assert "&lt;x&gt;" in part


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (percent(0.90644), f"90.64{SPACE}%"),
        (percent(float("nan")), "not finite"),
        (probability(0.99996), f">99.9{SPACE}%"),
        (probability(0.9994), f"99.9{SPACE}%"),
        (probability(1.0), f"100.0{SPACE}%"),
        (decimal(0.26701), "0.2670"),
        (decimal(4.2e30), "4.2e+30"),
        (decimal(float("inf")), "not finite"),
        (count(390_410), "390,410"),
        (count(float("nan")), "not finite"),
        (duration(4.24), "4.2 s"),
        (duration(59.97), "1 min 0 s"),
        (duration(200), "3 min 20 s"),
        (duration(7_499.6), "2 h 5 min"),
        (duration(float("nan")), "not finite"),
        (points(0.0031), "0.31"),
        (points(-0.0031), "\N{MINUS SIGN}0.31"),
        (points(-1e-9), "0.00"),
        (points(float("nan")), "\N{EN DASH}"),
        (points_between(0.0031, 0.0018, 0.0044), "0.31 [0.18, 0.44]"),
        (points_between(0.0031, float("nan"), float("nan")), "0.31"),
        (p_value(0.03125), "0.031"),
        (p_value(0.0004), "<0.001"),
        (p_value(0.9999), "1"),
        (setting(1e-3), "0.001"),
        (setting(2.5e-7), "2.5e-7"),
        (setting(0.0674372), "0.06744"),
        (listed([]), ""),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (listed(["a", "b:x=1,y=2", "c"]), "a; b:x=1,y=2 and c"),
        (counted(1, "seed"), "1 seed"),
        (counted(1200, "run"), "1,200 runs"),
    ],
)
def test_numbers_are_written_for_people(written, expected):
    assert written == expected
