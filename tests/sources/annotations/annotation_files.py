"""Annotations as their authors' tools write them, for the tests: PASCAL VOC files, structured reports, structure sets,
XML of LIDC-IDRI, segmentations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

if TYPE_CHECKING:
    from chestgan_core.sources.annotations.places import SlicePlace

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SQUARE = [286.0, 310.0, 355.0, 310.0, 355.0, 402.0, 286.0, 402.0, 286.0, 310.0]


def voc_object(left: Any = 10, top: Any = 20, right: Any = 30, bottom: Any = 45, label: str = "A") -> str:
    """One object of a PASCAL VOC file, as labelImg writes it."""
    return (
        f"<object><name>{label}</name><pose>Unspecified</pose><truncated>0</truncated><bndbox><xmin>{left}</xmin>"
        f"<ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
    )


def voc_xml(*objects: str, width: Any = 128, height: Any = 128) -> str:
    """A PASCAL VOC file of Lung-PET-CT-Dx: it does not know its own name."""
    return (
        '<annotation verified="no"><folder>Unknow</folder><filename>Unknow</filename><size>'
        f"<width>{width}</width><height>{height}</height><depth>1</depth></size>{''.join(objects)}</annotation>"
    )


def write_voc(folder: Path, patient: str, files: dict[str, str]) -> Path:
    """Annotation/<patient>/<SOPInstanceUID>.xml below the folder; the folder."""
    for sop_uid, text in files.items():
        path = folder / "Annotation" / patient / f"{sop_uid}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def item(kind: str, relationship: str, name: Dataset | None = None, **attributes: Any) -> Dataset:
    """One content item (DICOM PS3.3 C.17.3)."""
    made = Dataset()
    made.ValueType, made.RelationshipType = kind, relationship
    if name is not None:
        made.ConceptNameCodeSequence = [name]
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str = "DCM", meaning: str = "as the code says") -> Dataset:
    """One coded concept."""
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def image(sop_uid: str, frame: int | None = None) -> Dataset:
    """The image that a region was selected from."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, sop_uid
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    return item("IMAGE", "SELECTED FROM", code("260753009", "SCT"), ReferencedSOPSequence=[reference])


def region(
    *images: Dataset, data: Sequence[float] = SQUARE, kind: str = "POLYLINE", value: str = "SCOORD"
) -> Dataset:
    """Coordinates of an image region."""
    return item(
        value, "CONTAINS", code("111030"), GraphicType=kind, GraphicData=list(data), ContentSequence=list(images)
    )  # fmt: skip


def group(*regions: Dataset, finding: str | None = "1187332001") -> Dataset:
    """A planar region with its finding: TID 1410, row by row as highdicom 0.27 writes it."""
    content = [
        item("TEXT", "HAS OBS CONTEXT", code("112039"), TextValue="Annotation 0"),
        item("UIDREF", "HAS OBS CONTEXT", code("112040"), UID="2.25.7"),
        item(
            "CODE", "HAS CONCEPT MOD", code("363698007", "SCT"), ConceptCodeSequence=[code("39607008", "SCT")]
        ),
        item("CODE", "CONTAINS", code("130400"), ConceptCodeSequence=[code("75958009", "SCT")]),
        *regions,
    ]
    if finding is not None:
        content.insert(
            2, item("CODE", "CONTAINS", code("121071"), ConceptCodeSequence=[code(finding, "SCT")])
        )
    return item("CONTAINER", "CONTAINS", code("125007"), ContentSequence=content)


def report(*groups: Dataset, patient: str = "PH-A0001", number: int = 1) -> FileDataset:
    """A Comprehensive 3D SR with a measurement report (TID 1500); number: makes its UIDs."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = COMPREHENSIVE_3D_SR, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = f"2.25.8.{number}"
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = COMPREHENSIVE_3D_SR, f"2.25.8.{number}", "SR"
    made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID = patient, "2.25.9", f"2.25.9.{number}"
    made.ValueType, made.ConceptNameCodeSequence = "CONTAINER", [code("126000")]
    made.ContentSequence = [
        item("CODE", "HAS CONCEPT MOD", code("121058"), ConceptCodeSequence=[code("363679005", "SCT")]),
        item("CONTAINER", "CONTAINS", code("126010"), ContentSequence=list(groups)),
    ]
    return made


RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"


def contour(points: Any, sop_uid: str = "", kind: str = "CLOSED_PLANAR") -> Dataset:
    """One contour of a region. points: (N, 3) mm; sop_uid: of the slice that it names, none if empty."""
    made = Dataset()
    made.ContourGeometricType, made.NumberOfContourPoints = kind, len(points)
    made.ContourData = [f"{number:.6g}" for point in points for number in point]
    if sop_uid:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, sop_uid
        made.ContourImageSequence = [reference]
    return made


def structure_set(
    *regions: tuple[str, str, Sequence[Dataset]],
    patient: str = "PH-A0001",
    frame: str = "2.25.3",
    series: str = "2.25.4",
) -> FileDataset:
    """An RTSTRUCT. regions: name, RTROIInterpretedType and contours of each."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = RT_STRUCTURE_SET, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = "2.25.88"
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = RT_STRUCTURE_SET, "2.25.88", "RTSTRUCT"
    made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID = patient, "2.25.9", "2.25.99"
    of_series, of_study, of_frame = Dataset(), Dataset(), Dataset()
    of_series.SeriesInstanceUID = series
    of_study.RTReferencedSeriesSequence = [of_series]
    of_frame.FrameOfReferenceUID, of_frame.RTReferencedStudySequence = frame, [of_study]
    made.ReferencedFrameOfReferenceSequence = [of_frame]
    made.StructureSetROISequence, made.RTROIObservationsSequence, made.ROIContourSequence = [], [], []
    for number, (name, kind, contours) in enumerate(regions, 1):
        region, observation, drawn = Dataset(), Dataset(), Dataset()
        region.ROINumber, region.ROIName, region.ReferencedFrameOfReferenceUID = number, name, frame
        observation.ReferencedROINumber, observation.RTROIInterpretedType = number, kind
        drawn.ReferencedROINumber, drawn.ContourSequence = number, list(contours)
        made.StructureSetROISequence.append(region)
        made.RTROIObservationsSequence.append(observation)
        made.ROIContourSequence.append(drawn)
    return made


def lidc_roi(points: Any, z: Any = 0, sop_uid: str = "", inclusion: str = "TRUE") -> str:
    """One outline. points: (N, 2) column and row."""
    edges = "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points)
    return (
        f"<roi><imageZposition>{z} </imageZposition><imageSOP_UID>{sop_uid}</imageSOP_UID>"
        f"<inclusion>{inclusion}</inclusion>{edges}</roi>"
    )


def lidc_xml(*readers: Sequence[str], series: str = "2.25.4") -> str:
    """The XML of a scan. readers: the nodules of each, as outlines."""
    sessions = "".join(
        "<readingSession>"
        + "".join(
            f"<unblindedReadNodule><noduleID>{number}</noduleID>{roi}</unblindedReadNodule>"
            for number, roi in enumerate(nodules)
        )
        + "</readingSession>"
        for nodules in readers
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><LidcReadMessage xmlns="http://www.nih.gov"><ResponseHeader>'
        f"<SeriesInstanceUid>{series}</SeriesInstanceUid></ResponseHeader>{sessions}</LidcReadMessage>"
    )


def segmentation(
    frames: "Sequence[tuple[SlicePlace, NDArray[np.bool_]]]",
    bits: int = 1,
    named: bool = True,
    flip: tuple[int, int] = (1, 1),
    transposed: bool = False,
    offset: tuple[float, float] = (0, 0),
    along: float = 0.0,
    scale: float = 1.0,
    label: str = "Neoplasm",
    category: str = "49755003",
    algorithm: str = "MANUAL",
    synthetic: bool = False,
    patient: str = "PH-A0001",
    frame: str = "2.25.3",
    series: str = "2.25.4",
) -> FileDataset:
    """A SEG with one segment.

    frames: a slice and the mask on it. bits: 1, or 8 for a mask of fractions. named: whether each frame says its slice.
    flip, transposed: how the frames are stored, over the same tissue. offset: column and row of the slice at which the
    frames begin; along: mm by which they lie beside it; scale: of their pixels.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SegmentationStorage
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = "2.25.66", ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = SegmentationStorage, "2.25.66", "SEG"
    made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID = patient, "2.25.9", "2.25.67"
    made.FrameOfReferenceUID = frame
    if synthetic:
        made.SyntheticData = "YES"
    of_series, segment = Dataset(), Dataset()
    of_series.SeriesInstanceUID, made.ReferencedSeriesSequence = series, [of_series]
    segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = 1, label, algorithm
    segment.SegmentedPropertyCategoryCodeSequence = [code(category, "SCT")]
    segment.SegmentedPropertyTypeCodeSequence = [code("108369006", "SCT", "a type")]
    made.SegmentSequence = [segment]
    made.SegmentationType = "BINARY" if bits == 1 else "FRACTIONAL"
    if bits > 1:
        made.MaximumFractionalValue = 255
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = bits - 1, 0, 1
    made.PhotometricInterpretation, made.NumberOfFrames = "MONOCHROME2", len(frames)
    made.PerFrameFunctionalGroupsSequence, stored = [], []
    for place, mask in frames:
        rows, columns = mask.shape
        column = offset[0] + (0 if flip[0] > 0 else columns - 1)
        row = offset[1] + (0 if flip[1] > 0 else rows - 1)
        origin = place.origin + column * place.column_mm * place.along_row
        origin = origin + row * place.row_mm * place.along_column + along * place.normal
        axes = [flip[0] * place.along_row, flip[1] * place.along_column]
        spacing = [place.row_mm * scale, place.column_mm * scale]
        image = mask[:: flip[1], :: flip[0]]
        if transposed:
            axes, spacing, image = axes[::-1], spacing[::-1], image.T
        stored.append(image)
        group, position, orientation, measures, number = (Dataset() for _ in range(5))
        position.ImagePositionPatient = [f"{value:.9g}" for value in origin]
        orientation.ImageOrientationPatient = [f"{value:.9g}" for value in np.ravel(axes)]
        measures.PixelSpacing = [f"{value:.9g}" for value in spacing]
        number.ReferencedSegmentNumber = 1
        group.PlanePositionSequence, group.PlaneOrientationSequence = [position], [orientation]
        group.PixelMeasuresSequence, group.SegmentIdentificationSequence = [measures], [number]
        if named:
            derivation, source = Dataset(), Dataset()
            source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = CTImageStorage, place.uid
            derivation.SourceImageSequence = [source]
            group.DerivationImageSequence = [derivation]
        made.PerFrameFunctionalGroupsSequence.append(group)
    pixels = np.stack(stored)
    made.Rows, made.Columns = pixels.shape[1:]
    data = np.packbits(pixels, bitorder="little") if bits == 1 else pixels.astype(np.uint8) * 255
    made.PixelData = data.tobytes() + b"\0" * (data.size % 2)
    made["PixelData"].VR = "OB"
    return made
