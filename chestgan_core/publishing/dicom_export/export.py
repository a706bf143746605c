"""A synthetic set as a folder of DICOM files.

In: the folder of a set. Out: 000000.dcm for image 0, and 000000-boxes.dcm where it has boxes; the same bytes each time.
What is written is complete under its name, so an export that was interrupted goes on where it stopped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chestgan_core.errors import BadInput
from chestgan_core.local.files import is_regular, replacing, require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.dicom_export.ct_image import CtImages
from chestgan_core.publishing.dicom_export.reading import image_name, report_name
from chestgan_core.publishing.dicom_export.statements import HEADER_FORMAT, facts_of
from chestgan_core.publishing.dicom_export.structured_report import report_file, require_highdicom
from chestgan_core.publishing.dicom_export.uids import checked_root
from chestgan_core.publishing.reader.levels import Levels
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import read_set_folder
from chestgan_core.publishing.reader.set_reader import SetReader

KIND = "a DICOM export"
_HEADER_BYTES = 4096  # more than a file has beside its pixels


@dataclass(frozen=True)
class DicomExport:
    """images, reports: files in the folder of the chosen images. written: images that this call wrote; the others were
    there.
    """

    folder: Path
    images: int
    reports: int
    written: int

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "folder": str(self.folder)}


def export_dicom(
    set_folder: Path, out: Path, *, uid_root: str | None = None, numbers: Iterable[int] | None = None
) -> DicomExport:
    """Write the images of a set as DICOM: CT images, and structured reports of boxes.

    Args:
        set_folder: A set on disk, from `chestgan sets fetch`.
        out: Empty, or with an export of the same set, which is completed. Is made where it is missing.
        uid_root: Of new UIDs; by default $CHESTGAN_UID_ROOT, else 2.25.
        numbers: Of the chosen images, from 0; by default all.

    Returns:
        What is in the folder.

    Raises:
        BadInput: The set has no Hounsfield units, the root cannot be used, an image does not exist, or the folder holds
            something else.
        NotAvailable: The set has boxes, and highdicom, which writes them, is not installed.
        DamagedObject: The set is not what its manifest and labels say.
        DiskFull: Its disk has no room for the files.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.dicom_export.export import export_dicom
        >>> done = export_dicom(Path("demo-set"), Path("demo-exported"))
        >>> done.images, done.reports > 0
        (20, True)
    """
    reader = SetReader(read_set_folder(set_folder))
    root = checked_root(uid_root)
    chosen = range(len(reader)) if numbers is None else sorted(set(map(int, numbers)))
    if wrong := [number for number in chosen if not 0 <= number < len(reader)]:
        raise BadInput(f"image {wrong[0]}", "is not in the set", f"choose from 0 to {len(reader) - 1}")
    facts = reader.facts
    CtImages(facts, reader.version, root)  # refuses a set without HU before anything is made
    if any(reader.label(number)["boxes"] for number in chosen):
        require_highdicom()
    of = f"{facts.name} {reader.version} {root} {HEADER_FORMAT}"
    require_output_folder(out, KIND, of)
    size = 2 * facts.resolution**2 + _HEADER_BYTES
    require_space([(out, len(chosen) * size, "give a folder on another disk")])
    with (
        output_folder(out, KIND, of),
        Progress(f"export  {facts.name}", total=len(chosen), unit="images") as progress,
    ):
        items = ((reader.levels(number), reader.label(number)) for number in chosen)
        images = reports = written = 0
        for one in write_images(out, facts, reader.version, items, root):
            images, reports, written = images + 1, reports + one.report, written + one.written
            progress.step()
    return DicomExport(out, images, reports, written)


@dataclass(frozen=True)
class WrittenImage:
    """One image of an export. report: whether it has boxes. written: False where its files were there already."""

    index: int
    report: bool
    written: bool


def write_images(
    folder: Path,
    facts: SetFacts,
    version: str,
    items: Iterable[tuple[Levels, Mapping[str, Any]]],
    uid_root: str | None = None,
) -> Iterator[WrittenImage]:
    """Write images into a folder of the caller's, one after the other, while it is iterated over.

    Args:
        folder: Exists, and holds nothing but this export (local/output.py).
        facts: Of the set.
        version: Of the set.
        items: Levels and labels, as the reader returns them.
        uid_root: As for export_dicom.

    Raises:
        BadInput, NotAvailable, DiskFull: As export_dicom.
    """
    files = CtImages(facts, version, uid_root)
    for levels, label in items:
        path = folder / image_name(label["index"])
        data = files.file(levels, label)
        boxes: Sequence[Sequence[float]] = label["boxes"]
        if boxes:
            image = facts_of(facts, version, label)
            report = report_file(data, image, files.uids(image), boxes)
            # Before the image, so that an image that says that it has boxes has them.
            _write(folder / report_name(label["index"]), report)
        yield WrittenImage(label["index"], bool(boxes), _write(path, data))


def _write(path: Path, data: bytes) -> bool:
    """Whether there was something to write. The same set gives the same bytes, so those that are there are compared."""
    if is_regular(path) and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    # Not forced to the disk one by one: what a power cut damages is written again by the same export.
    with replacing(path, durable=False) as part:
        part.write_bytes(data)
    return True
