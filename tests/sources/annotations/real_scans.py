"""Annotations among the real files, read as a dataset of a folder reads them."""

from collections.abc import Sequence
from pathlib import Path

from chestgan_core.config.annotation_config import LidcReadings, RtStructures, Segmentations
from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import Series, read_series
from chestgan_core.sources.annotations.boxes import Found
from chestgan_core.sources.annotations.files import AnnotationReader, FileKind
from chestgan_core.sources.annotations.places import places_of

KINDS: dict[str, FileKind] = {
    "rtstruct": RtStructures(kind="rtstruct"),
    "seg": Segmentations(kind="seg"),
    "lidc": LidcReadings(kind="lidc"),
}


def annotations_of(folder: Path, kind: str, rules: FileKind | None = None) -> tuple[Found, Sequence[Series]]:
    """What the files of one kind give, and the series of the folder."""
    series = read_series([folder]).series
    with Archives() as archives:
        places = places_of(series, archives, Pseudonyms())
    reader = AnnotationReader({kind: rules or KINDS[kind]}, lambda: places, lambda name: "", Pseudonyms())
    return reader.read_below(folder).found[kind], series
