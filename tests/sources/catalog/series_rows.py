"""Rows of a catalog for tests: one clean CT series, and changes to it."""

from typing import Any

from chestgan_core.sources.series_rows import SeriesRow

CT, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"


def series_row(patient: str = "Lung_Dx-A0001", key: str = "2.25.1", **changes: Any) -> SeriesRow:
    """As the index of the Commons tells it."""
    told: dict[str, Any] = {
        "modality": "CT",
        "sop_class": CT,
        "photometric": "MONOCHROME2",
        "description": "Thorax 1.0 B31f",
        "kernel": "",
        "manufacturer": "SIEMENS",
        "images": 30,
        "bytes": 15_800_000,
        "histology": "A",
        "thickness_mm": 0.0,
        "spacing_mm": 0.0,
        "licence": "CC BY 4.0",
        "doi": "",
        "analysis": "",
        "revision": "r1",
        "location": "",
        "files": [],
        "status": "",
        "study_description": "Chest",
    }
    return SeriesRow(patient=patient, key=key, **{**told, **changes})
