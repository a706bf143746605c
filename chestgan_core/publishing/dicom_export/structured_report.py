"""The tumour boxes of a synthetic image as a DICOM structured report (PS3.16 TID 1500), by highdicom.

In: the file of the image, its facts and boxes. Out: the bytes of a Comprehensive SR that refers to the image, the same
each time. Boxes count lines between pixels as DICOM does (PS3.3 C.18.6.1.1): 0, 0 is the corner of the first pixel.

A box is where the model was asked to draw a tumour. So the finding is a lesion, which is no diagnosis, and the report
says in words that nobody was examined. A report must have a date: all have the same one, on which nothing happened.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chestgan_core.errors import NotAvailable
from chestgan_core.publishing.dicom_export.ct_image import SERIES_NUMBER, ImageUids, equipment
from chestgan_core.publishing.dicom_export.statements import HEADER_FORMAT, MANUFACTURER, MODEL, ImageFacts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DATE, _TIME = "20000101", "000000"
_STATEMENT = (
    "SYNTHETIC: where the model was asked to draw a lesion. Nobody was examined; this is no diagnosis."
)


def require_highdicom() -> None:
    """Raises NotAvailable, which says how to install it."""
    try:
        import highdicom.sr  # noqa: F401
    except ImportError as error:
        remedy = "install it: pip install 'chestgan[structured-reports]'"
        raise NotAvailable("highdicom, which writes tumour boxes as reports", "is missing", remedy) from error


def report_file(
    image_file: bytes, image: ImageFacts, uids: ImageUids, boxes: Sequence[Sequence[float]]
) -> bytes:
    """The file of the report on one image.

    Args:
        image_file: From CtImages.file, which the report refers to.
        image: The same facts as in that file.
        uids: Of the image.
        boxes: At least one: x0, y0, x1, y1 in pixels, x to the right, y down. DICOM keeps 24 bits of each number.

    Raises:
        NotAvailable: highdicom is not installed.
    """
    require_highdicom()
    import pydicom
    from highdicom.sr import ComprehensiveSR

    evidence = pydicom.dcmread(io.BytesIO(image_file), stop_before_pixels=True)
    report = ComprehensiveSR(
        evidence=[evidence],
        content=_content(evidence, uids, boxes),
        series_instance_uid=uids("report series"),
        series_number=SERIES_NUMBER + 1,
        sop_instance_uid=uids("report"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=f"header {HEADER_FORMAT}",
        series_description="SYNTHETIC, boxes of lesions",
        is_complete=True,
        content_date=_DATE,
        content_time=_TIME,
    )
    _describe(report, evidence, image)
    stream = io.BytesIO()
    report.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _describe(report: "Dataset", evidence: "Dataset", image: ImageFacts) -> None:
    """What highdicom leaves out, takes from the clock, or does not know: that no equipment acquired the image."""
    del report.InstanceCreationDate, report.InstanceCreationTime
    report.SyntheticData, report.ContributingEquipmentSequence = "YES", [equipment(image)]
    report.PatientIdentityRemoved = evidence.PatientIdentityRemoved
    report.DeidentificationMethod = evidence.DeidentificationMethod
    report.StudyDescription = evidence.StudyDescription
    for name in ("ImplementationClassUID", "ImplementationVersionName"):
        setattr(report.file_meta, name, getattr(evidence.file_meta, name))


def _content(evidence: "Dataset", uids: ImageUids, boxes: Sequence[Sequence[float]]) -> "Dataset":
    """The measurement report: who observed (a program), and a group with a region for each box."""
    from highdicom.sr import (
        CodedConcept,
        DeviceObserverIdentifyingAttributes,
        ImageRegion,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        SourceImageForRegion,
        TrackingIdentifier,
    )
    from highdicom.sr.enum import GraphicTypeValues
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(uids.device, MODEL, MANUFACTURER, MODEL)
    observer = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    groups = [
        PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=uids(f"box {number}"), identifier=f"box {number}. {_STATEMENT}"
            ),
            referenced_region=ImageRegion(
                graphic_type=GraphicTypeValues.POLYLINE,
                graphic_data=np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], float),
                source_image=SourceImageForRegion.from_source_image(evidence),
            ),
            finding_type=CodedConcept("52988006", "SCT", "Lesion"),
        )
        for number, (x0, y0, x1, y1) in enumerate(boxes, 1)
    ]
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )[0]
