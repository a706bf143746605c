"""A synthetic patient as one DICOM series: CT images with a position each, and reports of the boxes.

In: a stack. Out: 000.dcm, 001.dcm, ... from base to apex, and 012-boxes.dcm where slice 12 was asked to show a tumour;
the same bytes each time. Each file is that of a single image (dicom_export/ct_image.py), with the same statements that
nobody was scanned; study, series and frame of reference are shared, and planes have the spacing of the stack.
"""

import io
from collections.abc import Iterator

import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from chestgan_core.config.dataset import dataset_named
from chestgan_core.escaping import escaped
from chestgan_core.publishing.dicom_export.ct_image import CtImages
from chestgan_core.publishing.dicom_export.statements import ImageFacts, facts_of
from chestgan_core.publishing.dicom_export.structured_report import report_file, require_highdicom
from chestgan_core.publishing.dicom_export.uids import Uids, checked_root
from chestgan_core.publishing.reader.levels import Bits, levels_of, sha256_of_levels
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.subjects import SubjectStack
from chestgan_core.publishing.writing.asked import conditions_of
from chestgan_core.training.conditions import class_of
from chestgan_core.training.weights import LoadedGenerator

BITS: Bits = 16
_SCOPE = "chestgan synthetic patient"
_MAX_TITLE = 500  # characters of the source's title and of its licence
_SHARED = ("study", "series", "frame of reference")


class SubjectSeries:
    """Makes the files of one generator's patients.

    Raises BadInput: the generator learned from images without Hounsfield units, or the root of UIDs cannot be used.
    NotAvailable: it knows tumours, and highdicom, which writes their reports, is not installed.
    """

    def __init__(self, generator: LoadedGenerator, uid_root: str | None = None) -> None:
        experiment = generator.experiment
        dataset, window = dataset_named(experiment.dataset), experiment.display_window
        self._generator, self._uids = generator, Uids(checked_root(uid_root))
        self._facts = SetFacts(
            name=experiment.name,
            experiment=experiment.name,
            images=1,
            first_seed=0,
            resolution=experiment.resolution,
            window_centre=window.centre,
            window_width=window.width,
            model_sha256=generator.sha256,
            source_title=dataset.title,
            source_licence=dataset.licence,
            window_unit=window.unit,
            classes=experiment.classes,
            bits=BITS,
            conditions=conditions_of(experiment),
        )
        self._version = f"patients-{generator.sha256[:16]}"
        self._images = CtImages(self._facts, self._version, uid_root)
        if experiment.conditions.tumour is not None:
            require_highdicom()

    def files(self, stack: SubjectStack) -> Iterator[tuple[str, bytes]]:
        """Names and bytes."""
        subject = stack.layouts
        levels = levels_of(stack.images[:, 0].numpy(), BITS)
        shared = [self._names(stack, kind) for kind in _SHARED]
        for number, (layout, z) in enumerate(zip(subject.layouts, subject.z_mm, strict=True)):
            label = {
                "index": number,
                "seed": subject.seed,
                "class": class_of(subject.seed, self._generator.experiment, layout),
                "boxes": None if layout.boxes is None else [list(box) for box in layout.boxes],
                "position": layout.position,
                "sha256": sha256_of_levels(levels[number], BITS),
            }
            image = facts_of(self._facts, self._version, label)
            d = pydicom.dcmread(io.BytesIO(self._images.file(levels[number], label)))
            d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = shared
            self._place(d, stack, number, z)
            data = _bytes_of(d)
            if label["boxes"]:
                yield f"{number:03d}-boxes.dcm", self._report(data, image)
            yield f"{number:03d}.dcm", data

    def _names(self, stack: SubjectStack, kind: str) -> str:
        of = stack.layouts
        return self._uids(_SCOPE, self._generator.sha256, of.seed, of.spacing_mm, of.layouts, kind)

    def _place(self, d: Dataset, stack: SubjectStack, number: int, z: float) -> None:
        """Where the plane lies, and what is known of the sizes."""
        pixel, spacing = stack.layouts.pixel_mm, stack.layouts.spacing_mm
        edge = DSfloat(-(self._facts.resolution - 1) * pixel / 2, auto_format=True)
        d.InstanceNumber, d.StudyID = number + 1, "1"
        d.PixelSpacing = [DSfloat(pixel, auto_format=True)] * 2
        d.SliceThickness = DSfloat(spacing, auto_format=True)
        d.ImagePositionPatient = [edge, edge, DSfloat(z, auto_format=True)]
        d.StudyDescription = "SYNTHETIC chest CT series"
        d.SeriesDescription = f"SYNTHETIC, patient of {self._facts.name}"[:64]
        d.ImageComments = (
            "SYNTHETIC SERIES, not of a person, not for diagnosis. Each slice was made alone, of the same noise, for "
            "its position in the lungs: pixel spacing and extent of the lungs are medians of the training patients, "
            "and nothing is known of what lies between planes. A tumour is where the model was asked to draw one. "
            f"Trained on: {escaped(self._facts.source_title)[:_MAX_TITLE]}; licence: "
            f"{escaped(self._facts.source_licence)[:_MAX_TITLE]}."
        )

    def _report(self, data: bytes, image: ImageFacts) -> bytes:
        return report_file(data, image, self._images.uids(image), [list(box) for box in image.boxes or ()])


def _bytes_of(d: Dataset) -> bytes:
    stream = io.BytesIO()
    d.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
