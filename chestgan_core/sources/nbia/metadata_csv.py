"""The metadata.csv that the NBIA Data Retriever writes beside what it downloads.

In: the file. Out: SeriesRow without a status.

Under a locale with decimal commas the retriever writes sizes as `15,82 MB` without quotes, so that every row has one
field more than the header, and table readers shift the columns without a word. Such rows are read right here: the two
halves of the size are joined. Whatever else does not fit the header is refused, with the number of its line.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.dicom.histology import histology_of
from chestgan_core.errors import BadInput
from chestgan_core.sources.nbia.series_list import doi_in
from chestgan_core.sources.series_rows import SeriesRow, collection_id, single_spaced
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
# The retriever counts in thousands: its 15.82 MB are the 15.82 MB of the Commons' index.
UNITS = {"bytes": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE = re.compile(rf"(\d+(?:[.,]\d+)?) ?({'|'.join(UNITS)})")
SIZE_END = re.compile(rf"\d+ ?({'|'.join(UNITS)})")
UID = re.compile(r"[0-9]+(\.[0-9]+)+")
MODALITY = re.compile(r"[A-Z0-9_]{2,16}")
REMEDY = "mend this line, or let the NBIA Data Retriever write the file again"


def is_nbia_csv(path: Path) -> bool:
    """Whether the first line is the header of a metadata.csv."""
    with path.open("rb") as stream:
        start = stream.readline(65536).decode("utf-8-sig", "replace")
    return set(COLUMNS) <= set(next(csv.reader([start]), []))


def nbia_csv_series(
    path: Path, collection: str, names: "Pseudonyms", doi: str, licence: str
) -> list[SeriesRow]:
    """Every series of a collection in a metadata.csv, in its order; licence and doi are the collection's.

    The collection may be spelled as NBIA or as the Imaging Data Commons does.

    Raises BadInput with the number of the line: not this kind of file, a row that does not fit the header, a value that
    is none of its column, a series listed twice; and when no row is of the collection.
    """
    rows: list[SeriesRow] = []
    seen: dict[str, int] = {}
    for line, told in _told(path):
        if collection_id(told["Collection"]) != collection_id(collection):
            continue
        uid = told["Series UID"]
        if uid in seen:
            raise _refused(path, line, f"lists the series of line {seen[uid]} again")
        seen[uid] = line
        rows.append(_row(told, names, doi, licence))
    if not rows:
        raise BadInput(path, f"lists no series of {collection}", "check how NBIA spells the collection")
    return rows


def _told(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and checked fields of every row."""
    try:
        # newline="": csv knows \r\n by itself.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            if missing := [name for name in COLUMNS if name not in header]:
                raise _refused(path, 1, f"has no column {missing[0]}")
            size = header.index("File Size")
            for row in reader:
                if row:
                    yield reader.line_num, _checked(path, reader.line_num, header, size, row)
    except FileNotFoundError as error:
        raise BadInput(
            path, "there is no such file", "give a metadata.csv of the NBIA Data Retriever"
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(path, f"line {reader.line_num + 1}: is no CSV in UTF-8 ({error})", REMEDY) from error


def _checked(path: Path, line: int, header: list[str], size: int, row: list[str]) -> dict[str, str]:
    if len(row) == len(header) + 1 and row[size].isdecimal() and SIZE_END.fullmatch(row[size + 1]):
        row = [*row[:size], f"{row[size]}.{row[size + 1]}", *row[size + 2 :]]
    if len(row) != len(header):
        raise _refused(path, line, f"has {len(row)} fields and the header {len(header)}")
    told = dict(zip(header, row, strict=True))
    for name, form in (
        ("Series UID", UID),
        ("SOP Class UID", UID),
        ("Modality", MODALITY),
        ("File Size", SIZE),
        ("Number of Images", re.compile(r"[1-9]\d*")),
        ("Subject ID", re.compile(r".+")),
    ):
        if not form.fullmatch(told[name]):
            raise _refused(path, line, f"has no {name} where the header says so")
    return {name: "" if value == "null" else value for name, value in told.items()}


def _row(told: dict[str, str], names: "Pseudonyms", doi: str, licence: str) -> SeriesRow:
    images, size = int(told["Number of Images"]), _bytes(told["File Size"])
    third_party = told["3rd Party Analysis"].upper() == "YES"
    told_doi = doi_in(told["Data Description URI"])
    return SeriesRow(
        patient=names.patient(told["Subject ID"]),
        key=names.series(told["Series UID"]),
        modality=told["Modality"],
        sop_class=told["SOP Class UID"],
        photometric="",
        description=single_spaced(told["Series Description"]),
        kernel="",
        manufacturer=told["Manufacturer"],
        images=images,
        bytes=size,
        histology=histology_of(told["Subject ID"]),
        thickness_mm=0.0,
        spacing_mm=0.0,
        licence=licence,
        # The retriever drops the hyphen of some DOIs, so the dataset's own counts for its original images.
        doi=told_doi if third_party else doi or told_doi,
        analysis="third-party" if third_party else "",
        revision=content_version(images, size),  # the file says no date of the series
        location=told["Series UID"],
        files=[],
        status="",
        study_description=single_spaced(told["Study Description"]),
    )


def _bytes(told: str) -> int:
    found = SIZE.fullmatch(told)
    if found is None:
        raise ValueError(told)
    return round(float(found[1].replace(",", ".")) * UNITS[found[2]])


def _refused(path: Path, line: int, cause: str) -> BadInput:
    return BadInput(path, f"line {line} {cause}", REMEDY)
