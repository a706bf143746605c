"""What people see of the raw archive and of the slices of one patient: metadata and checks.

In: what the core has stored of a patient. Out: a MaterializeResult with its check results; nothing of it names a
person.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from chestgan_assets.execution.usage import Usage
from chestgan_assets.metadata import (
    COLUMNS,
    PATIENT_PICTURE_LIMIT,
    ROW_COUNT,
    SIZE,
    URI,
    causes,
    check,
    check_spec,
    columns_of_rows,
    counts,
    picture,
)
from chestgan_assets.partitions import DATASETS, patients
from chestgan_core.reasons import meanings

if TYPE_CHECKING:
    from chestgan_core.dicom.audit_report import Finding
    from chestgan_core.errors import IdentityFound
    from chestgan_core.slices.patient_slices import PatientSlices
    from chestgan_core.sources.archive.raw_archive import RawArchive

RAW, SLICES = "raw_dicom", "slice_tensors"
PATIENT_ASSETS = (dg.AssetKey(RAW), dg.AssetKey(SLICES))

CHECKS = [
    check_spec("files_complete", RAW, "Every file in the catalog is in the archive.", patients),
    check_spec("deidentified", RAW, "No file of a private folder names a person.", patients),
    check_spec("hounsfield_range", SLICES, "All values are in [-1024, 3071] HU.", patients),
    check_spec(
        "lung_fraction",
        SLICES,
        "Lungs fill at least the recipe's minimum fraction of the body, in the slice with the most lung.",
        patients,
    ),
]


def archive_result(archive: "RawArchive", dataset: str, usage: Usage) -> dg.MaterializeResult[None]:
    """Of raw_dicom."""
    audit = archive.audit
    # The files of a public collection have been published by others: their audit is a warning.
    blocking_findings = audit.blocking(DATASETS[dataset].accepted_findings)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(archive.version),
        metadata={
            URI: archive.uri,
            SIZE: archive.bytes,
            "series": archive.series,
            "files": archive.files,
            "downloaded series": archive.fetched_series,
            "reused": archive.reused,
            "de-identification": counts(
                {str(finding): n for finding, n in audit.findings.items()},
                what="finding",
                meanings=meanings(audit.findings),
            ),
            "licence": archive.licence,
            **({"doi": archive.doi} if archive.doi else {}),
            **usage.metadata(),
        },
        check_results=[
            check(
                "files_complete",
                archive.files == archive.expected,
                f"{archive.files:,} of {archive.expected:,} files are in the archive.",
            ),
            check(
                "deidentified",
                not blocking_findings,
                _audited(blocking_findings, archive.files),
                warn=not DATASETS[dataset].private,
                metadata={str(finding): audit.findings[finding] for finding in blocking_findings},
            ),
        ],
    )


def identity_found(error: "IdentityFound") -> dg.AssetCheckResult:
    """Of raw_dicom, where nothing was stored because files may name a person."""
    return check("deidentified", False, f"Refused, nothing was stored: {error.cause}; {error.remedy}.")


def slices_result(slices: "PatientSlices", usage: Usage) -> dg.MaterializeResult[None]:
    """Of slice_tensors."""
    from chestgan_core.dicom.left_out import LeftOut
    from chestgan_core.slices.shards import SliceRow
    from chestgan_core.slices.training_rows import MEANINGS

    report = slices.report
    return dg.MaterializeResult(
        data_version=dg.DataVersion(slices.sha256),
        metadata={
            URI: slices.uri,
            ROW_COUNT: report.kept,
            COLUMNS: columns_of_rows(SliceRow, MEANINGS),
            SIZE: slices.bytes,
            "preview": picture(
                slices.preview_png, "slices from feet to head, lung window", PATIENT_PICTURE_LIMIT
            ),
            **_doubtful(slices),
            "slices": report.kept,
            "doubtful slices": f"{report.doubtful_kept} used, {report.doubtful_left_out} left out",
            "slices without a position": report.without_position,
            "series": report.series,
            "files": report.files,
            "left out": counts(
                {str(reason): n for reason, n in report.left_out.items()}, meanings=meanings(LeftOut)
            ),
            **({"causes of exclusion": causes(report.causes)} if report.causes else {}),
            **({"warnings": causes(report.doubts, "warning")} if report.doubts else {}),
            "scans and reconstructions": report.stacks,
            "slices per second": round(report.slices_per_second, 1),
            **usage.metadata(),
        },
        check_results=[
            check(
                "hounsfield_range",
                slices.lowest_hu >= -1024 and slices.highest_hu <= 3071,
                f"All values are from {slices.lowest_hu} to {slices.highest_hu} HU.",
            ),
            check(
                "lung_fraction",
                slices.highest_lung_fraction >= slices.configured_lung_fraction,
                f"Lungs fill {slices.lowest_lung_fraction:.1%} to {slices.highest_lung_fraction:.1%} of the body; "
                f"at least {slices.configured_lung_fraction:.1%} is needed in the middle of the chest.",
            ),
        ],
    )


def _doubtful(slices: "PatientSlices") -> Mapping[str, Any]:
    if not slices.doubtful_png:
        return {}
    title = "slices near the ends of the lungs"
    return {"slices to check": picture(slices.doubtful_png, title, PATIENT_PICTURE_LIMIT)}


def _audited(findings: Sequence["Finding"], files: int) -> str:
    """The result of the de-identification audit in words."""
    if not findings:
        return f"No finding that stops a private folder in {files:,} files, or their owner accepted it."
    return f"Found in files that are to be de-identified: {', '.join(map(str, findings))}."
