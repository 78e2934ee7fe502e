"""Tables as texts."""

import csv
import io
from collections.abc import Iterable, Sequence

NONE = "–"  # where there is no number


def number(value: float | None, form: str) -> str:
    """Format a number as tables show it."""
    return NONE if value is None else format(value, form)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def markdown_text(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table as Markdown, its first column to the left."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
