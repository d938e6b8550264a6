from __future__ import annotations

from html.parser import HTMLParser

import hypothesis.strategies as st
import pytest
from hypothesis import given
from page_reader import Page

from fmnist_jax.report.format import (
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
from fmnist_jax.report.model import (
    BulletList,
    Callout,
    Code,
    Columns,
    Command,
    Picture,
    Report,
    Section,
    Stat,
    Stats,
    Table,
    Verdict,
    pictures,
)
from fmnist_jax.report.render import Markup, element, join, render_html, render_markdown, void

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


PICTURE = Picture("loss", b"png", "<x>", "<x>")
ITEMS = [
    "<x>",
    Section("<x>", ["<x>", Section("<x>", [])]),
    Verdict("<x>", ["<x>", "<x>"]),
    Verdict("", ["<x>"]),
    Callout("error", "<x>", "<x>"),
    Stats([Stat("<x>", "<x>", "<x>"), Stat("<x>", "<x>")]),
    Table("<x>", ["<x>", "<x>"], [["<x>", Code("<x>")], ["<x>", BulletList(["<x>", BulletList(["<x>"])])]]),
    PICTURE,
    BulletList(["<x>"]),
    Columns([["<x>", Section("<x>", [PICTURE])], [BulletList(["<x>"])]]),
]


@pytest.mark.parametrize("item", [*ITEMS, Command("<x>")])
def test_html_escapes_every_text_and_nests_its_elements(item, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_html(Report("<x>", "<x>", "<x>", [item])))
    page = Page(path)
    assert "<x>" not in page.source
    assert page.text.count("<x>") > 3


@pytest.mark.parametrize("item", ITEMS)
def test_markdown_escapes_every_text(item):
    text = render_markdown(Report("<x>", "<x>", "<x>", [item]))
    assert text.count("<x>") == text.count(r"\<x>") > 2


def test_markdown_of_a_report():
    table = Table("t", ["a", "b"], [["x", BulletList(["k: v", "l:", BulletList(["m"])])]])
    report = Report(
        "run",
        "Title",
        "What was done.",
        [
            Callout("note", "Mind.", "This."),
            Verdict("model1", ["adam wins.", "By far."]),
            Stats([Stat("Loss", "0.1", "mean"), Stat("Images", "3")]),
            Section("Results", ["Text.", Section("Each", [table])]),
            Columns([[Picture("loss", b"", "Loss.", "Caption.")], [BulletList(["one", BulletList(["two"])])]]),
            Command("python *.py"),
        ],
    )
    assert render_markdown(report).split("\n\n") == [
        "# Title",
        "What was done.",
        "> **Mind.** This.",
        "model1: **adam wins.** By far.",
        "- Loss: **0.1** (mean)\n- Images: **3**",
        "## Results",
        "Text.",
        "### Each",
        "| a | b |\n| --- | ---: |\n| x | k: v; l: (m) |",
        "![Loss.](plots/loss.png)",
        "*Caption.*",
        "- one\n  - two",
        "```\npython *.py\n```\n",
    ]


def test_a_verdict_links_to_the_section_of_its_workload():
    text = render_html(Report("", "", "", [Verdict("a|b, 2", ["x"]), Section("a|b, 2", [Section("a|b, 2", [])])]))
    assert '<a href="#a%7Cb%2C%202">a|b, 2</a>' in text
    assert '<section id="a%7Cb%2C%202"><h2>a|b, 2</h2><section><h3>' in text


def test_pictures_are_found_at_any_depth():
    deep = Section("a", ["text", Columns([[Section("b", [PICTURE])], [PICTURE]])])
    assert list(pictures(["text", PICTURE, deep])) == [PICTURE] * 3


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
