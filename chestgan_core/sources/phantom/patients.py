"""Phantom patients: generated chest series as DICOM files, the test data and the offline source.

In: a folder, a number of patients and a seed. Out: one folder per patient with CT Image Storage files, and the position
of the patient's tumour. Manufacturer and ImageComments state that nobody was scanned.

The set deliberately has the peculiarities of real deliveries: names that are not in the order of the slices, files
without extension, signed and unsigned pixels, an intercept of 0, padding outside the field of view, a localizer, slices
without lung at both ends.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress

if TYPE_CHECKING:
    from chestgan_core.sources.phantom.anatomy import Anatomy
    from chestgan_core.sources.phantom.painting import Painter

_FIRST_LETTERS = "ABGAGA"
_CUMULATIVE_PATIENTS = (("A", 251), ("B", 289), ("G", 350), ("E", 355))


@dataclass(frozen=True)
class TumourBox:
    """rows and columns: half-open pixel ranges; z_mm: lowest and highest ImagePositionPatient z."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    z_mm: tuple[float, float]


@dataclass(frozen=True)
class PhantomPatient:
    """What was written. files: axial slices from head to feet. localizer: None if the patient has none."""

    patient_id: str
    histology: str
    series_uid: str
    folder: Path
    files: tuple[Path, ...]
    localizer: Path | None
    tumour: TumourBox


def histology_of(number: int, seed: int = 0) -> str:
    """Letter of patient `number` (from 1): A adenocarcinoma, B small cell, E large cell, G squamous cell.

    The first six have three classes, so that a small set has them, too; the others are drawn in the proportions of the
    collection Lung-PET-CT-Dx (251 A, 38 B, 61 G, 5 E of 355 patients).
    """
    if number <= len(_FIRST_LETTERS):
        return _FIRST_LETTERS[number - 1]
    draw = int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:8]) % 355
    return next(letter for letter, below in _CUMULATIVE_PATIENTS if draw < below)


def phantom_id(number: int, seed: int = 0) -> str:
    """PatientID of patient `number` (1 to 9999), as `PH-A0001`."""
    return f"PH-{histology_of(number, seed)}{number:04d}"


def write_phantoms(
    folder: Path,
    patients: int = 6,
    seed: int = 0,
    size: int = 256,
    slices: int = 40,
    progress: Progress | None = None,
) -> list[PhantomPatient]:
    """Write patients 1 to `patients` into folders of their own below `folder`; progress counts slices.

    The same arguments give the same bytes, and a patient does not depend on the number of patients. Folders of patients
    beyond `patients` from an earlier call stay. Raises BadInput: a number out of range.
    """
    if not 1 <= patients <= 9999:
        raise BadInput("phantom", f"{patients} patients are out of range", "request 1 to 9999")
    return [write_phantom(folder, number, seed, size, slices, progress) for number in range(1, patients + 1)]


def write_phantom(
    folder: Path,
    number: int,
    seed: int = 0,
    size: int = 256,
    slices: int = 40,
    progress: Progress | None = None,
) -> PhantomPatient:
    """Write one patient to folder/PatientID, in place of the files of an earlier call.

    number: from 1. size: rows and columns. The files appear all at once, when the last one is complete. Raises
    BadInput: a number out of range.
    """
    import numpy as np

    from chestgan_core.sources.phantom.dicom_files import Uids, series_header, write_localizer, write_slice
    from chestgan_core.sources.phantom.growth import draw_anatomy
    from chestgan_core.sources.phantom.painting import Painter

    if not 1 <= number <= 9999 or seed < 0:
        raise BadInput(
            "phantom",
            f"patient {number} or seed {seed} is out of range",
            "patients are 1 to 9999, seeds from 0",
        )
    if not (32 <= size <= 1024 and 4 <= slices <= 2000):
        raise BadInput(
            "phantom",
            f"{slices} slices of {size} pixels are out of range",
            "request 4 to 2000 slices of 32 to 1024 pixels",
        )

    patient_id, histology = phantom_id(number, seed), histology_of(number, seed)
    anatomy = draw_anatomy(seed, number, histology)
    spacing = slice_spacing(anatomy, slices)
    thickness = round(min(spacing, 3.0), 4)
    painter = Painter(anatomy, size, thickness)
    uids = Uids(uid_scope(seed, number, size, slices))
    head = series_header(patient_id, anatomy, uids, size, thickness, number)
    order = np.random.default_rng([seed, number, 2]).permutation(slices)
    extension = ".dcm" if number % 2 else ""

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / patient_id
    partial = folder / f".{patient_id}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    names, projection = [], np.empty((slices, size), np.float32)
    for index in range(slices):
        depth = (index + 0.5) * spacing
        hu = painter.paint(depth, np.random.default_rng([seed, number, 3, index]))
        projection[index] = hu.mean(axis=0)
        names.append(f"IM{order[index]:05d}{extension}")
        z = _z(index, spacing, slices)
        write_slice(partial / names[-1], head, np.rint(hu).astype(np.int16), index, z, uids)
        if progress:
            progress.step(1, patient_id)
    if number == 1:
        write_localizer(partial / "SCOUT.dcm", head, projection, spacing, _z(0, spacing, slices), uids)
    for stale in folder.glob(f"PH-[ABEG]{number:04d}"):  # another seed may have given another letter
        shutil.rmtree(stale)
    partial.rename(target)
    return PhantomPatient(
        patient_id=patient_id,
        histology=histology,
        series_uid=str(head.SeriesInstanceUID),
        folder=target,
        files=tuple(target / name for name in names),
        localizer=target / "SCOUT.dcm" if number == 1 else None,
        tumour=_tumour_box(painter, spacing, slices),
    )


def uid_scope(seed: int, number: int, size: int, slices: int) -> str:
    """What the UIDs of one patient are made from, beside their names."""
    return f"{seed}/{number}/{size}/{slices}"


def slice_spacing(anatomy: "Anatomy", slices: int) -> float:
    """Distance in mm between the middles of neighbouring slices."""
    return round(anatomy.length / slices, 4)


def _z(index: float, spacing: float, slices: int) -> float:
    """ImagePositionPatient z (mm) of a slice; index counts from the head, z grows towards it."""
    return round((slices - 1 - index) * spacing - 300, 3)


def _tumour_box(painter: "Painter", spacing: float, slices: int) -> TumourBox:
    import numpy as np

    tumour, canvas = painter.anatomy.tumour, painter.canvas
    angle = np.linspace(-np.pi, np.pi, 720, dtype=np.float32)
    reach = tumour.outline(angle)
    rows, columns = canvas.to_pixels(tumour.x + reach * np.cos(angle), tumour.y + reach * np.sin(angle))
    top, bottom = ((tumour.depth + way * tumour.radius) / spacing - 0.5 for way in (-1, 1))
    return TumourBox(
        rows=(int(np.floor(rows.min())), int(np.ceil(rows.max())) + 1),
        columns=(int(np.floor(columns.min())), int(np.ceil(columns.max())) + 1),
        z_mm=(_z(bottom, spacing, slices), _z(top, spacing, slices)),
    )
