"""The report as HTML: the page round it, tables and figures. Whatever is given as text is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

_CSS = """
:root { color-scheme: light dark; --back: #fcfcfb; --text: #1d1f21; --faint: #63676b; --line: #d5d7d8; --accent: #0a5ea8; }
@media (prefers-color-scheme: dark) {
  :root { --back: #17191b; --text: #e4e5e3; --faint: #9ba0a4; --line: #3a3e42; --accent: #74b6ee; }
}
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1280px;
  padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; } h3 { font-size: 1rem;
  margin: 1.6rem 0 .3rem; }
p, dl { max-width: 78ch; } .faint, figcaption { color: var(--faint); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .55rem; text-align: right; vertical-align: middle; }
th { vertical-align: bottom; } th:first-child, td:first-child { text-align: left; white-space: nowrap; }
th button { background: none; border: 0; color: inherit; cursor: pointer; font: inherit; padding: 0; text-align: inherit; }
th button:hover { color: var(--accent); }
th[aria-sort=ascending] button::after { content: " \\2191"; } th[aria-sort=descending] button::after { content: " \\2193"; }
.row { display: flex; flex-wrap: wrap; gap: .8rem; margin: .5rem 0; } figure { margin: 0; max-width: 100%; }
figure img { display: block; height: auto; max-width: 100%; } .zoom { image-rendering: pixelated; }
td img { display: block; } dt { float: left; clear: left; color: var(--faint); min-width: 14rem; } dd { margin: 0 0 0 14rem; }
svg.plot { height: auto; max-width: 860px; width: 100%; } svg text { fill: var(--text); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--line); } .frame { fill: none; stroke: var(--faint); } .dot { fill: var(--accent); }
"""

_SORT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      return isNaN(parseFloat(x)) - isNaN(parseFloat(y)) || (up ? 1 : -1) * (x - y || x.localeCompare(y));
    };
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  }));
}
"""


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: what it shows.
        value: what it is sorted by.
        image: data URL of a picture that it shows before the text.
    """

    text: str
    value: float | None = None
    image: str | None = None


class Figure(NamedTuple):
    """A picture with a caption.

    Attributes:
        url: its data URL.
        caption: what stands below.
        width: of a zoom, at which it is shown, px; other pictures are shown as large as they are.
    """

    url: str
    caption: str
    width: int | None = None


def page(title: str, parts: Iterable[str]) -> str:
    """The whole document; `parts` are HTML."""
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_CSS}</style>",
            "</head>",
            "<body>",
            f"<h1>{escape(title)}</h1>",
            *parts,
            f"<script>{_SORT}</script>",
            "</body>",
            "</html>",
            "",
        )
    )


def heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, faint: bool = False) -> str:
    """A paragraph."""
    kind = ' class="faint"' if faint else ""
    return f"<p{kind}>{escape(text)}</p>"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Terms, and what each is."""
    return "<dl>" + "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in pairs) + "</dl>"


def table(head: Sequence[tuple[str, str]], rows: Iterable[Sequence[Cell]], sortable: bool = False) -> str:
    """A table.

    Args:
        head: title of each column, and what the mouse over it tells.
        rows: one cell a column.
        sortable: a click on a title sorts by it.
    """
    before, after = ("<button>", "</button>") if sortable else ("", "")
    titles = "".join(f'<th scope="col" title="{escape(meaning)}">{before}{escape(text)}{after}</th>' for text, meaning in head)
    body = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    kind = ' class="sortable"' if sortable else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def figures(row: Iterable[Figure]) -> str:
    """Pictures side by side."""
    return '<div class="row">' + "".join(map(_figure, row)) + "</div>"


def scale_bar(colours: Sequence[tuple[int, int, int]], ticks: Sequence[str]) -> str:
    """A bar of evenly spaced colours over evenly spaced ticks, from end to end."""
    width, last = 384, len(colours) - 1
    stops = "".join(f'<stop offset="{i / last:.4f}" stop-color="rgb({r},{g},{b})"/>' for i, (r, g, b) in enumerate(colours))
    anchors = ["start", *["middle"] * (len(ticks) - 2), "end"]
    texts = "".join(
        f'<text x="{width * i / (len(ticks) - 1):g}" y="32" text-anchor="{anchor}">{escape(tick)}</text>'
        for i, (tick, anchor) in enumerate(zip(ticks, anchors, strict=True))
    )
    return (
        f'<svg viewBox="0 0 {width} 40" width="{width}" height="40" role="img" aria-label="Scale of the error maps">'
        f'<defs><linearGradient id="heat">{stops}</linearGradient></defs>'
        f'<rect width="{width}" height="16" fill="url(#heat)"/>{texts}</svg>'
    )


def _cell(cell: Cell) -> str:
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    image = "" if cell.image is None else f'<img src="{escape(cell.image)}" alt="">'
    return f"<td{value}>{image}{escape(cell.text)}</td>"


def _figure(figure: Figure) -> str:
    size = "" if figure.width is None else f' class="zoom" width="{figure.width}"'
    caption = escape(figure.caption)
    return f'<figure><img src="{escape(figure.url)}" alt="{caption}"{size}><figcaption>{caption}</figcaption></figure>'
