"""Rows of a catalog for tests: a clean CT series, and variations of it."""

from typing import Any

from chestgan_core.sources.series_rows import SeriesRow

CT, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"


def series_row(patient: str = "Lung_Dx-A0001", key: str = "2.25.1", **changes: Any) -> SeriesRow:
    """As the index of the Imaging Data Commons lists it."""
    fields: dict[str, Any] = {
        "modality": "CT",
        "sop_class": CT,
        "photometric": "MONOCHROME2",
        "description": "Thorax 1.0 B31f",
        "manufacturer": "SIEMENS",
        "images": 30,
        "bytes": 15_800_000,
        "histology": "A",
        "licence": "CC BY 4.0",
        "revision": "r1",
        "study_description": "Chest",
    }
    return SeriesRow(patient=patient, key=key, **{**fields, **changes})
