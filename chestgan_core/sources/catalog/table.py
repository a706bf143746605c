"""A catalog for people: what came in, what is fetched, what is left out and why.

In: Catalog. Out: text of some twenty lines, without a single series or patient in it.
"""

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.sources.catalog.series_selection import SeriesStatus
from chestgan_core.sources.series_rows import Amount, Catalog


def as_text(title: str, catalog: Catalog) -> str:
    """A table of series, patients, images and gigabytes, then the reasons, most frequent first."""
    told = catalog.summary()
    lines = [title, "", f"{'':30}{'series':>9}{'patients':>10}{'images':>11}{'GB':>9}"]
    lines += [
        _amount("listed", told.all),
        _amount("clean (meet every rule)", told.clean),
        _amount("selected", told.selected),
    ]
    for letter, part in told.histology.items():
        lines.append(_amount(f"  {letter} {HISTOLOGIES[letter]}" if letter else "  no histology", part))
    if told.left_out_series:
        lines += ["", f"{'series left out':30}{'series':>9}"]
        lines += _reasons(told.left_out_series, {str(status): status.meaning for status in SeriesStatus})
    if catalog.left_out:
        lines += ["", f"{f'of {catalog.files:,} files left out':30}{'files':>9}"]
        lines += _reasons(catalog.left_out, {str(reason): reason.meaning for reason in LeftOut})
    return "\n".join(lines)


def _amount(name: str, told: Amount) -> str:
    return f"{name:30}{told.series:9,}{told.patients:10,}{told.images:11,}{told.bytes / 1e9:9.2f}"


def _reasons(counts: dict[str, int], meanings: dict[str, str]) -> list[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"  {reason:28}{count:9,}  {meanings[reason]}" for reason, count in ordered]
