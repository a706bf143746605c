"""A collection that is only listed: an index in the form of the Imaging Data Commons, without images behind it."""

import csv
from collections.abc import Mapping
from pathlib import Path

COLUMNS = [
    "collection_id", "analysis_result_id", "PatientID", "SeriesInstanceUID", "StudyInstanceUID", "source_DOI",
    "PatientAge", "PatientSex", "StudyDate", "StudyDescription", "BodyPartExamined", "Modality", "SOPClassUID",
    "sop_class_name", "TransferSyntaxUID", "transfer_syntax_name", "PhotometricInterpretation",
    "PixelRepresentation", "Manufacturer", "ManufacturerModelName", "SeriesDate", "SeriesDescription",
    "SeriesNumber", "instanceCount", "license_short_name", "series_init_idc_version", "series_revised_idc_version",
    "aws_bucket", "crdc_series_uuid", "series_aws_url", "series_size_MB",
]  # fmt: skip


def write_index(path: Path, patients: Mapping[str, str]) -> None:
    """patients: PatientID -> revision of its one series, any text."""
    with path.open("w", newline="") as stream:
        rows = csv.DictWriter(stream, COLUMNS)
        rows.writeheader()
        for number, (patient, revision) in enumerate(sorted(patients.items())):
            rows.writerow(
                {
                    "collection_id": "listed",
                    "PatientID": patient,
                    "SeriesInstanceUID": f"2.25.{1000 + number}",
                    "StudyInstanceUID": f"2.25.{500_000 + number}",
                    "Modality": "CT",
                    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                    "PhotometricInterpretation": "MONOCHROME2",
                    "SeriesDescription": "Chest 5 mm",
                    "instanceCount": 30,
                    "license_short_name": "CC BY 4.0",
                    "aws_bucket": "public",
                    "crdc_series_uuid": f"{revision}-{number}",
                    "series_aws_url": f"s3://public/{revision}-{number}/*",
                    "series_size_MB": 15.5,
                }
            )


def write_dataset(folder: Path, index: Path, name: str = "listed", slice_size: int = 64) -> None:
    """A dataset as a file for $CHESTGAN_DATASETS."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(
        "title: a collection that is only listed\nimage_kind: phantom\n"
        f"licence: CC BY 4.0\nprivate: false\nslice_size: {slice_size}\n"
        f"source: {{kind: idc, collection: listed, index: '{index}'}}\n"
    )
