"""Annotations as their authors' tools write them, for the tests: PASCAL VOC files and structured reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

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
