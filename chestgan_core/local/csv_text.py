"""Tables as CSV that a spreadsheet only shows.

In: names of columns, and rows. Out: text. A cell that a spreadsheet would run as a formula begins with an apostrophe.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from chestgan_core.escaping import csv_cell

Cell: TypeAlias = str | int | float | bool | None


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """One line per row; empty cells for None, yes and no.

    Examples:
        >>> csv_text(("name", "kid"), [("=1+1", 0.25), ("b", None)])
        "name,kid\\n'=1+1,0.25\\nb,\\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in head])
    writer.writerows([[csv_cell(cell) for cell in row] for row in rows])
    return text.getvalue()
