"""A synthetic image as a DICOM file: CT Image Storage (PS3.3 A.3), explicit little endian, not compressed.

In: the levels of an image and its label. Out: the bytes of a file, the same each time. Stored values are the levels, so
that the sha256 of the set's image can be recomputed from the file; RescaleSlope and RescaleIntercept make HU of them.

Every file says that it is synthetic where machines look (Synthetic Data, Contributing Equipment, Image Type) and where
people do (descriptions, comments). What is not known is left empty where the standard allows it: nothing was scanned,
so there is no date, no time, no voltage and no patient position.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from chestgan_core.errors import BadInput
from chestgan_core.publishing.dicom_export.elements import (
    CHARACTER_SET,
    encoded,
    joined,
    pixel_data,
    sequence,
    text_elements,
)
from chestgan_core.publishing.dicom_export.statements import (
    HEADER_FORMAT,
    MANUFACTURER,
    MODEL,
    NOBODY,
    NOMINAL_FIELD_MM,
    NOMINAL_THICKNESS_MM,
    ImageFacts,
    comments,
    derivation,
    facts_of,
    patient_id,
    patient_name,
)
from chestgan_core.publishing.dicom_export.uids import Uids, checked_root
from chestgan_core.publishing.reader.levels import Levels, max_level
from chestgan_core.publishing.reader.manifest import SetFacts

SERIES_NUMBER = 1
_SCOPE = "chestgan DICOM export"  # of names that UIDs are made of
_PREAMBLE = bytes(128) + b"DICM"


class ImageUids:
    """Of one subject that does not exist: its study, series, image, report. device: of the model that made it.

    They depend on the model, the seed, the number in the set and the bits, on what the image was asked to show, and on
    the form of the header.
    """

    def __init__(self, uids: Uids, image: ImageFacts) -> None:
        self._uids = uids
        asked = json.dumps([image.boxes, image.position])
        self._names = (_SCOPE, HEADER_FORMAT, image.model_sha256, image.seed, image.index, image.bits, asked)
        self.device = uids(_SCOPE, "device", image.model_sha256)

    def __call__(self, kind: str) -> str:
        """The UID of one kind, such as "study"."""
        return self._uids(*self._names, kind)


class CtImages:
    """Makes the files of one set.

    Args:
        facts: Of the set; its window must be one of HU.
        version: Of the set, as its manifest says.
        uid_root: See uids.checked_root.

    Raises:
        BadInput: The set was made from images without Hounsfield units, or the root cannot be used.
    """

    def __init__(self, facts: SetFacts, version: str, uid_root: str | None = None) -> None:
        if facts.window_unit != "HU":
            cause = "was made from images without Hounsfield units, which a CT image must have"
            raise BadInput(f"set {facts.name}", cause, "use its PNG or NPZ form")
        self._facts, self._version = facts, version
        self._uids = Uids(checked_root(uid_root))
        self._shared = encoded(_shared_attributes(facts))
        self._equipment = encoded(equipment())
        self._meta = encoded(_file_meta(self._uids))

    def uids(self, image: ImageFacts) -> ImageUids:
        """The identifiers of one image's files."""
        return ImageUids(self._uids, image)

    def file(self, levels: Levels, label: Mapping[str, Any]) -> bytes:
        """The file of one image.

        Args:
            levels: (resolution, resolution) uint8 or uint16, as the set's bits say.
            label: Of the image, from the reader: index, seed, class, boxes, position, sha256.
        """
        facts = self._facts
        image = facts_of(facts, self._version, label)
        uids = self.uids(image)
        own = text_elements(
            SOPInstanceUID=uids("image"),
            StudyInstanceUID=uids("study"),
            SeriesInstanceUID=uids("series"),
            FrameOfReferenceUID=uids("frame of reference"),
            PatientID=patient_id(image),
            PatientName=patient_name(image),
            StudyID=str(image.index),
            DerivationDescription=derivation(facts, image),
            ImageComments=comments(facts, image),
        )
        equipment = sequence(
            "ContributingEquipmentSequence",
            {**self._equipment, **text_elements(ContributionDescription=image.line())},
        )
        pixels = pixel_data(levels.astype("<u2", copy=False).tobytes())
        return self._head(uids("image")) + joined({**self._shared, **own, **equipment, **pixels})

    def _head(self, uid: str) -> bytes:
        """The free bytes, DICM, and the file meta information with its length (PS3.10 7.1)."""
        meta = joined({**self._meta, **text_elements(MediaStorageSOPInstanceUID=uid)})
        length = Dataset()
        length.FileMetaInformationGroupLength = len(meta)
        return _PREAMBLE + joined(encoded(length)) + meta


def _file_meta(uids: Uids) -> Dataset:
    d = Dataset()
    d.FileMetaInformationVersion = b"\0\1"
    d.MediaStorageSOPClassUID = CTImageStorage
    d.TransferSyntaxUID = ExplicitVRLittleEndian
    d.ImplementationClassUID = uids(_SCOPE, "implementation")
    d.ImplementationVersionName = "CHESTGAN"
    return d


def equipment(image: ImageFacts | None = None) -> Dataset:
    """The item of Contributing Equipment (PS3.3 C.12.1); with the image, its description says which one it is."""
    purpose, code = Dataset(), codes.DCM.SynthesizingEquipment
    purpose.CodeValue, purpose.CodingSchemeDesignator = code.value, code.scheme_designator
    purpose.CodeMeaning = code.meaning
    d = Dataset()
    d.PurposeOfReferenceCodeSequence = [purpose]
    d.Manufacturer, d.ManufacturerModelName, d.SoftwareVersions = (
        MANUFACTURER,
        MODEL,
        f"header {HEADER_FORMAT}",
    )
    if image is not None:
        d.ContributionDescription = image.line()
    return d


def _shared_attributes(facts: SetFacts) -> Dataset:
    """What all images of a set have in common, module by module."""
    d = Dataset()
    d.SpecificCharacterSet, d.SOPClassUID, d.SyntheticData = CHARACTER_SET, CTImageStorage, "YES"
    # Patient: required to be there, and nobody's.
    d.PatientBirthDate = d.PatientSex = ""
    d.PatientIdentityRemoved, d.DeidentificationMethod = "YES", NOBODY
    # Study, series, frame of reference.
    d.StudyDate = d.StudyTime = d.AccessionNumber = d.ReferringPhysicianName = ""
    d.StudyDescription = "SYNTHETIC chest CT image"
    d.SeriesDescription = f"SYNTHETIC, set {facts.name}"[:64]
    d.Modality, d.BodyPartExamined, d.PatientPosition = "CT", "CHEST", ""
    d.SeriesNumber, d.PositionReferenceIndicator = SERIES_NUMBER, ""
    # Equipment.
    d.Manufacturer, d.ManufacturerModelName, d.SoftwareVersions = (
        MANUFACTURER,
        MODEL,
        f"header {HEADER_FORMAT}",
    )
    # Image. Levels were never compressed with a loss; that they are clipped is no compression, and said in words.
    d.ImageType, d.InstanceNumber = ["DERIVED", "SECONDARY", "AXIAL"], 1
    d.BurnedInAnnotation, d.LossyImageCompression = "NO", "00"
    d.KVP = d.AcquisitionNumber = None
    _describe_plane(d, facts.resolution)
    _describe_pixels(d, facts)
    return d


def _describe_plane(d: Dataset, size: int) -> None:
    """An upright axial image, as the training slices are, with its centre in the origin of its own coordinates."""
    pixel = NOMINAL_FIELD_MM / size
    edge = DSfloat(-(NOMINAL_FIELD_MM - pixel) / 2, auto_format=True)
    d.PixelSpacing = [DSfloat(pixel, auto_format=True)] * 2
    d.SliceThickness = NOMINAL_THICKNESS_MM
    d.ImageOrientationPatient, d.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [edge, edge, 0]


def _describe_pixels(d: Dataset, facts: SetFacts) -> None:
    low, _ = facts.window.ends
    d.Rows = d.Columns = facts.resolution
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
    d.RescaleSlope = DSfloat(facts.window_width / max_level(facts.bits), auto_format=True)
    d.RescaleIntercept, d.RescaleType = DSfloat(low, auto_format=True), "HU"
    d.WindowCenter = DSfloat(facts.window_centre, auto_format=True)
    d.WindowWidth = DSfloat(facts.window_width, auto_format=True)
    d.VOILUTFunction = "LINEAR_EXACT"  # PS3.3 C.11.2.1.3.2: black and white are the ends of the window
