"""The series of a folder of DICOM files, and where each of their files lies.

In: a folder, the names of its patients. Out: SeriesRow without a status, and what was left out file by file. Only
images that can be measured become rows: axial CT in Hounsfield units (dicom/left_out.py says what does not).
"""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.sources.series_rows import Catalog, SeriesRow, single_spaced
from chestgan_core.store.artefacts import content_version

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import Archives, Source
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.dicom.series import Series

SEPARATOR = "//"


def folder_series(
    folder: Path, names: "Pseudonyms", label: str, licence: str, doi: str, generated: bool = False
) -> Catalog:
    """Every usable series below a folder. generated: files may be made again with the same content at another time.

    Raises BadInput: an empty folder, or one without a usable series (with reasons and counts).
    """
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.dicom.series import read_series, require_series

    with Progress(label, None, "files") as progress:
        reading = read_series([folder], progress)
    require_series(reading)
    located = FolderFiles(folder, names)
    with Archives() as archives:
        rows = [_row(series, located, archives, names, licence, doi, generated) for series in reading.series]
    return Catalog(tuple(rows), {str(why): n for why, n in sorted(reading.left_out.items())}, reading.files)


class FolderFiles:
    """The files below a folder, and how a catalog calls them.

    names: where they are private, a path is told by its keyed hash, and found again by walking through the folder.
    """

    def __init__(self, folder: Path, names: "Pseudonyms") -> None:
        self._folder, self._names = folder, names

    def locate(self, source: "Source") -> str:
        """A source as text: its path below the folder (or the hash of that), then `//` and the index of the entry for
        each zip on the way.

        No path has two slashes in a row. Its bytes are written as Latin-1, one character each: a file name is any
        bytes, and Parquet takes no text that is not Unicode.
        """
        path = _text(Path(source.path).relative_to(self._folder))
        return SEPARATOR.join([self._names.file(path), *map(str, source.entries)])

    def located(self, text: str) -> "Source":
        """The inverse of `locate`. Raises FileNotFoundError: no file below the folder is called so any more."""
        from chestgan_core.dicom.file_walk import Source

        name, *entries = text.split(SEPARATOR)
        path = name if self._names.secret is None else self._paths.get(name)
        if path is None:
            raise FileNotFoundError(name)
        return Source(str(self._folder / os.fsdecode(path.encode("latin-1"))), tuple(map(int, entries)))

    @cached_property
    def _paths(self) -> dict[str, str]:
        from chestgan_core.dicom.file_walk import files_below

        paths = [_text(file.relative_to(self._folder)) for file in files_below(self._folder)]
        return {self._names.file(path): path for path in paths}


def _row(
    series: "Series",
    located: FolderFiles,
    archives: "Archives",
    names: "Pseudonyms",
    licence: str,
    doi: str,
    generated: bool,
) -> SeriesRow:
    files = [located.locate(header.source) for header in series.slices]
    states = [_state(header.source, archives) for header in series.slices]
    sizes = [size for size, _ in states]
    # Pixels that were blanked in place leave name, size and UID as they are.
    marks = [0 if generated else mark for _, mark in states]
    return SeriesRow(
        patient=names.patient(series.patient_id),
        key=names.series(series.uid),
        modality="CT",
        sop_class="1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage: nothing else becomes a Series
        photometric="MONOCHROME2",
        description=single_spaced(series.description),
        kernel=series.kernel,
        manufacturer=series.manufacturer,
        images=len(files),
        bytes=sum(sizes),
        histology=series.histology,
        thickness_mm=series.thickness_mm,
        spacing_mm=series.spacing_mm,
        licence=licence,
        doi=doi,
        analysis="",
        revision=content_version(files, sizes, marks, [header.sop_uid for header in series.slices]),
        location="",
        files=files,
        status="",
        study_description=single_spaced(series.study_description),
    )


def _text(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode("latin-1")


def _state(source: "Source", archives: "Archives") -> tuple[int, int]:
    """Bytes, and what changes with the content without reading it: time of the change, or a zip entry's CRC."""
    from chestgan_core.dicom.file_walk import READ_ERRORS, Source

    try:
        if not source.entries:
            status = Path(source.path).stat()
            return status.st_size, status.st_mtime_ns
        # Of the entry as it will be read, not as it is packed.
        entry = archives.entries(Source(source.path, source.entries[:-1]))[source.entries[-1]]
    except READ_ERRORS as error:
        cause = "changed while it was read: a file has gone"
        raise BadInput("the folder", cause, "run again when nobody writes to it") from error
    return entry.file_size, entry.CRC
