"""Page: one HTML file without anything from outside: a table and charts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:820px;margin:2em auto;padding:0 1em}td,th{padding:.15em .7em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}tr:nth-child(even){background:#f4f4f4}svg{margin:1em 0;width:100%}"
    "table{display:block;overflow-x:auto}ul{font-size:13px}"
)


def page(
    title: str, about: Sequence[str], table: Sequence[Sequence[str]], charts: Sequence[str], notes: Sequence[str] = ()
) -> str:
    """Return a page with paragraphs, a table whose first row is its head, notes on it, and charts."""
    head, *body = table
    rows = _row(head, "th") + "".join(_row(row, "td") for row in body)
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>{''.join(f'<p>{escape(text)}</p>' for text in about)}"
        f"<table>{rows}</table>{f'<ul>{items}</ul>' if items else ''}{''.join(charts)}</html>\n"
    )


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
