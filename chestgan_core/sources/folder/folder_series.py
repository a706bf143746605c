"""The series of a folder of DICOM files, and where each of their files lies.

In: a folder, and its pseudonyms. Out: SeriesRow without a status, and counts of the files left out. Only axial CT in
Hounsfield units becomes rows (dicom/left_out.py lists the other files).
"""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.dicom.left_out import below
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.reasons import Synthetic
from chestgan_core.sources.series_rows import Catalog, SeriesRow, single_spaced, stack_key
from chestgan_core.store.artefacts import content_version

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import Archives, FileLocation
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.dicom.series import Series

SEPARATOR = "//"


def folder_series(
    folder: Path,
    pseudonyms: "Pseudonyms",
    label: str,
    licence: str,
    doi: str,
    generated: bool = False,
    synthetic: Synthetic = "refuse",
) -> Catalog:
    """Every usable series below a folder. label: of the progress. generated: files may be made again with the same
    content, so their time does not count. synthetic: what is done with objects that are flagged so.

    Raises BadInput: an empty folder, or one without a usable series (with reasons and counts).
    """
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.dicom.series import read_series, require_series

    with Progress(label, None, "files") as progress:
        reading = read_series([folder], progress, synthetic)
    require_series(reading)
    folder_files = FolderFiles(folder, pseudonyms)
    with Archives() as archives:
        rows = [
            _row(series, folder_files, archives, pseudonyms, licence, doi, generated)
            for series in reading.series
        ]
    left_out = {str(why): count for why, count in sorted(reading.left_out.items())}
    causes, doubts = below(reading.causes, folder), below(reading.doubts, folder)
    return Catalog(tuple(rows), left_out, reading.files, causes, doubts)


class FolderFiles:
    """The files below a folder, and their names in a catalog.

    pseudonyms: if they are private, a path appears as its keyed hash, and is found again by walking through the folder.
    """

    def __init__(self, folder: Path, pseudonyms: "Pseudonyms") -> None:
        self._folder, self._pseudonyms = folder, pseudonyms

    def text_of(self, location: "FileLocation") -> str:
        """A file as text: its path below the folder (or the hash of that), then `//` and the index of the entry for
        each zip around it.

        No path has two slashes in a row. Its bytes are written as Latin-1, one character each: a file name may be any
        bytes, and Parquet accepts only Unicode.
        """
        path = _text(Path(location.path).relative_to(self._folder))
        return SEPARATOR.join([self._pseudonyms.file(path), *map(str, location.entries)])

    def location_of(self, text: str) -> "FileLocation":
        """The inverse of `text_of`. Raises FileNotFoundError: the folder no longer has such a file."""
        from chestgan_core.dicom.file_walk import FileLocation

        name, *entries = text.split(SEPARATOR)
        path = name if self._pseudonyms.secret is None else self._paths.get(name)
        if path is None:
            raise FileNotFoundError(name)
        return FileLocation(str(self._folder / os.fsdecode(path.encode("latin-1"))), tuple(map(int, entries)))

    @cached_property
    def _paths(self) -> dict[str, str]:
        from chestgan_core.dicom.file_walk import files_below

        paths = [_text(file.relative_to(self._folder)) for file in files_below(self._folder)]
        return {self._pseudonyms.file(path): path for path in paths}


def _row(
    series: "Series",
    folder_files: FolderFiles,
    archives: "Archives",
    pseudonyms: "Pseudonyms",
    licence: str,
    doi: str,
    generated: bool,
) -> SeriesRow:
    stack = pseudonyms.stack(series.stack)
    files = [folder_files.text_of(header.location) for header in series.slices]
    states = [_state(header.location, archives) for header in series.slices]
    sizes = [size for size, _ in states]
    # Name, size and UID stay the same when pixels are blanked in place, so the time or CRC counts, too.
    marks = [0 if generated else mark for _, mark in states]
    return SeriesRow(
        patient=pseudonyms.patient(series.patient_id, series.study_uid),
        key=stack_key(pseudonyms.series(series.uid), stack),
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
        revision=content_version(files, sizes, marks, [header.sop_uid for header in series.slices]),
        files=files,
        study_description=single_spaced(series.study_description),
        stack=stack,
    )


def _text(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode("latin-1")


def _state(location: "FileLocation", archives: "Archives") -> tuple[int, int]:
    """Bytes, and a number that changes with the content."""
    from chestgan_core.dicom.file_walk import READ_ERRORS

    try:
        return archives.state(location)
    except READ_ERRORS as error:
        cause = "changed while it was read: a file is gone"
        raise BadInput("the folder", cause, "run again when nothing writes to it") from error
