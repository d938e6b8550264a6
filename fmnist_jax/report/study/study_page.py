"""The report of a study as an HTML page."""

from __future__ import annotations

from collections.abc import Mapping

from fmnist_jax.compare.config import SCHEMA
from fmnist_jax.report import page as html
from fmnist_jax.report.markup import Markup, element, join
from fmnist_jax.report.page import Picture
from fmnist_jax.report.record_parts import config_table, provenance_section
from fmnist_jax.report.study.content import Beside, Bullets, Heading, Item, Notice, Part, Table, Verdict
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.sections import headline_figures, notices, parts, verdicts
from fmnist_jax.report.style import Subject


def study_page(context: Context, pictures: Mapping[str, Picture]) -> str:
    """Returns the HTML of a study's report, with the plots of `draw_study` in it."""
    title = Subject("", context.synthetic).title(context.title)
    found = parts(context, pictures)
    anchors = {part.title: f"part-{number}" for number, part in enumerate(found)}
    return html.page(
        title,
        element("p", "fmnist_jax, report of an optimizer study", class_="eyebrow"),
        element("h1", title),
        element("p", context.lead, class_="lead"),
        *map(_item, notices(context)),
        *(html.verdict(each.about, each.sentences, anchors.get(each.about, "")) for each in verdicts(context)),
        html.headline(headline_figures(context)),
        *(_part(part, anchors[part.title]) for part in found),
        html.section("Config", config_table("Config", context.study.config, SCHEMA, {})),
        provenance_section(context.study.manifest, "study"),
    )


def _part(part: Part, anchor: str = "", level: int = 2) -> Markup:
    inner = [_part(each, level=level + 1) for each in part.parts]
    return html.section(part.title, *map(_item, part.items), *inner, level=level, anchor=anchor)


def _item(item: Item) -> Markup:
    match item:
        case Table():
            return html.table(item.name, item.header, item.rows, numbers=item.numbers)
        case Notice():
            return html.banner(item.kind, item.title, item.text)
        case Bullets():
            return html.bullets(item.items)
        case Verdict():
            return html.verdict(item.about, item.sentences)
        case Beside():
            return html.beside(*(join(*map(_item, column)) for column in item.columns))
        case Heading():
            return element("h3", item.text)
        case Picture():
            return html.picture(item)
        case _:
            return join(html.paragraphs(item))
