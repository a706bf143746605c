"""The metadata.csv that the NBIA Data Retriever writes beside its downloads.

In: the file. Out: SeriesRow without a status.

Under a locale with decimal commas the retriever writes sizes as `15,82 MB` without quotes: every row then has one
field more than the header, and table readers silently shift the columns. Here the two halves of the size are joined
again. Any other row that does not fit the header is refused, with the number of its line.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.dicom.histology import histology_of
from chestgan_core.errors import BadInput, UnknownName, nearest
from chestgan_core.sources.nbia.series_list import doi_in
from chestgan_core.sources.series_rows import SeriesRow, collection_id, single_spaced
from chestgan_core.sources.series_tables import csv_rows, delimiter_of, each_once
from chestgan_core.store.artefacts import content_version

if TYPE_CHECKING:
    from chestgan_core.dicom.pseudonyms import Pseudonyms

COLUMNS = (
    "Series UID",
    "Collection",
    "3rd Party Analysis",
    "Data Description URI",
    "Subject ID",
    "Study Description",
    "Series Description",
    "Manufacturer",
    "Modality",
    "SOP Class UID",
    "Number of Images",
    "File Size",
)
# The retriever counts in thousands: its 15.82 MB are the 15.82 MB of the index of the Imaging Data Commons.
UNITS = {"bytes": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE = re.compile(rf"([0-9]{{1,12}}(?:[.,][0-9]{{1,12}})?) ?({'|'.join(UNITS)})")
SIZE_END = re.compile(rf"[0-9]{{1,12}} ?({'|'.join(UNITS)})")
UID = re.compile(r"[0-9]+(\.[0-9]+)+")
MODALITY = re.compile(r"[A-Z0-9_]{2,16}")
REMEDY = "correct this line, or let the NBIA Data Retriever write the file again"


def is_nbia_csv(path: Path) -> bool:
    """Whether the first line is the header of a metadata.csv."""
    return delimiter_of(path, COLUMNS) is not None


def nbia_csv_series(
    path: Path, collection: str, pseudonyms: "Pseudonyms", doi: str, licence: str
) -> list[SeriesRow]:
    """Every series of a collection in a metadata.csv, in the order of the file.

    collection: in the spelling of NBIA or of the Imaging Data Commons. doi, licence: of the collection. Raises BadInput
    with the number of the line (another kind of file, a row that does not fit the header, a value that is not valid for
    its column, a series listed again with other content), UnknownName (no row is of the collection).
    """
    rows: list[tuple[str, SeriesRow]] = []
    collections: set[str] = set()
    for line, fields in _fields(path):
        collections.add(fields["Collection"])
        if collection_id(fields["Collection"]) == collection_id(collection):
            rows.append((f"line {line}", _row(fields, pseudonyms, doi, licence)))
    if not rows:
        raise UnknownName(path, f"lists no series of {collection}", nearest(collection, collections))
    return each_once(path, rows, REMEDY)


def _fields(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and checked fields of every row."""
    rows = csv_rows(path, COLUMNS, REMEDY)
    _, header = next(rows)
    size = header.index("File Size")
    for line, row in rows:
        yield line, _checked(path, line, header, size, row)


def _checked(path: Path, line: int, header: list[str], size: int, row: list[str]) -> dict[str, str]:
    if len(row) == len(header) + 1 and row[size].isdecimal() and SIZE_END.fullmatch(row[size + 1]):
        row = [*row[:size], f"{row[size]}.{row[size + 1]}", *row[size + 2 :]]
    if len(row) != len(header):
        raise _refused(path, line, f"has {len(row)} fields, but the header has {len(header)}")
    fields = dict(zip(header, row, strict=True))
    for name, form in (
        ("Series UID", UID),
        ("SOP Class UID", UID),
        ("Modality", MODALITY),
        ("File Size", SIZE),
        ("Number of Images", re.compile(r"[1-9][0-9]{0,8}")),
        ("Subject ID", re.compile(r".+")),
    ):
        if not form.fullmatch(fields[name]):
            raise _refused(path, line, f"has no valid {name}")
    return {name: "" if value == "null" else value for name, value in fields.items()}


def _row(fields: dict[str, str], pseudonyms: "Pseudonyms", doi: str, licence: str) -> SeriesRow:
    images, size = int(fields["Number of Images"]), _bytes(fields["File Size"])
    third_party = fields["3rd Party Analysis"].upper() == "YES"
    stated_doi = doi_in(fields["Data Description URI"])
    return SeriesRow(
        patient=pseudonyms.patient(fields["Subject ID"]),
        key=pseudonyms.series(fields["Series UID"]),
        modality=fields["Modality"],
        sop_class=fields["SOP Class UID"],
        description=single_spaced(fields["Series Description"]),
        manufacturer=fields["Manufacturer"],
        images=images,
        bytes=size,
        histology=histology_of(fields["Subject ID"]),
        licence=licence,
        # The retriever drops the hyphen of some DOIs, so that of the dataset holds for its original images.
        doi=stated_doi if third_party else doi or stated_doi,
        analysis="third-party" if third_party else "",
        revision=content_version(images, size),  # the file has no date of the series
        location=fields["Series UID"],
        study_description=single_spaced(fields["Study Description"]),
    )


def _bytes(text: str) -> int:
    found = SIZE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return round(float(found[1].replace(",", ".")) * UNITS[found[2]])


def _refused(path: Path, line: int, cause: str) -> BadInput:
    return BadInput(path, f"line {line} {cause}", REMEDY)
