"""A catalog as a table for a terminal: what is listed, what is selected, what is left out and why.

In: Catalog. Out: text of about thirty lines that names no series and no patient. With the causes it names a file
each: a folder is read by its owner, in a terminal.
"""

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.dicom.left_out import LeftOut, shown
from chestgan_core.reasons import meanings
from chestgan_core.sources.catalog.series_selection import SeriesStatus
from chestgan_core.sources.series_rows import Amount, Catalog


def as_text(title: str, catalog: Catalog) -> str:
    """A table of series, patients, images and gigabytes, then the reasons, most frequent first."""
    summary = catalog.summary()
    lines = [title, "", f"{'':30}{'series':>9}{'patients':>10}{'images':>11}{'GB':>9}"]
    lines += [
        _amount("listed", summary.all),
        _amount("clean (meet every rule)", summary.clean),
        _amount("selected", summary.selected),
    ]
    for letter, amount in summary.histology.items():
        lines.append(_amount(f"  {letter} {HISTOLOGIES[letter]}" if letter else "  no histology", amount))
    if summary.left_out_series:
        lines += ["", f"{'series left out':30}{'series':>9}"]
        lines += _reasons(summary.left_out_series, meanings(SeriesStatus))
    if catalog.left_out:
        lines += ["", f"{f'of {catalog.files:,} files left out':30}{'files':>9}"]
        lines += _reasons(catalog.left_out, meanings(LeftOut))
        lines += [f"    {line}" for line in shown(catalog.causes)]
    if catalog.doubts:
        lines += ["", "warnings", *(f"  {line}" for line in shown(catalog.doubts))]
    return "\n".join(lines)


def _amount(name: str, amount: Amount) -> str:
    return f"{name:30}{amount.series:9,}{amount.patients:10,}{amount.images:11,}{amount.bytes / 1e9:9.2f}"


def _reasons(counts: dict[str, int], meanings: dict[str, str]) -> list[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"  {reason:28}{count:9,}  {meanings[reason]}" for reason, count in ordered]
