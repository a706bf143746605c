"""The rules of a dataset applied to its series: each gets one status.

In: SeriesRow with whatever a source knows, SeriesRules. Out: the same rows with `status`, sorted. The order of the rows
that come in changes nothing.

A row whose field is unknown ("" or 0) is not left out by a rule on that field: NBIA's list of series has neither SOP
class nor photometric interpretation, and what is no CT image is found when its files arrive. The rules are looked at in
the order of `SeriesStatus`, and the first that a series does not meet is its status.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from chestgan_core.config.dataset import SeriesRules
from chestgan_core.reasons import Reason
from chestgan_core.sources.catalog.kernels import kernel_family
from chestgan_core.sources.series_rows import ANOTHER_CHOSEN, SELECTED, SeriesRow, single_spaced

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # with .1 to .4: the multi-frame ones


class SeriesStatus(Reason):
    """What becomes of a series. The value is what a report prints; `.meaning` is one line that explains it."""

    EXCLUDED = "excluded", "the dataset excludes it or its patient (exclude_series, exclude_patients)"
    OTHER_MODALITY = "other-modality", "not of the wanted modality: PET, segmentation, structured report"
    SECONDARY_CAPTURE = "secondary-capture", "a screen capture or fused colour image, not measured values"
    OTHER_SOP_CLASS = "other-sop-class", "another kind of object than those wanted"
    OTHER_PHOTOMETRIC = "other-photometric", "not stored as grey with low values dark, or whatever is wanted"
    TOO_FEW_IMAGES = "too-few-images", "a localizer, a bolus test or a fragment rather than a scan"
    TOO_MANY_IMAGES = "too-many-images", "more images than the rules allow for a series"
    DESCRIPTION = "description", "neither the series' nor the study's description is one of those wanted"
    EXCLUDED_DESCRIPTION = (
        "excluded-description",
        "the series' or the study's description is one of those excluded",
    )
    OTHER_KERNEL = "other-kernel", "reconstructed with a kernel of another family"
    ANOTHER_CHOSEN = ANOTHER_CHOSEN, "meets every rule, but a smaller series of the patient is taken"
    SELECTED = SELECTED, "is fetched"


def select_series(rows: Iterable[SeriesRow], rules: SeriesRules) -> tuple[SeriesRow, ...]:
    """Every row with its status, sorted by patient and key."""
    include, exclude = _patterns(rules.include_description), _patterns(rules.exclude_description)
    ordered = sorted(rows, key=lambda row: (row.patient, row.key))
    statuses = [_status_of(row, rules, include, exclude) for row in ordered]
    if rules.series_per_patient == "smallest":
        smallest: dict[str, int] = {}
        for number, (row, status) in enumerate(zip(ordered, statuses, strict=True)):
            if status is SeriesStatus.SELECTED and (
                row.patient not in smallest or row.images < ordered[smallest[row.patient]].images
            ):
                # Of several smallest ones the first by key: every source knows keys, few know bytes.
                smallest[row.patient] = number
        taken = set(smallest.values())
        statuses = [
            SeriesStatus.ANOTHER_CHOSEN if status is SeriesStatus.SELECTED and number not in taken else status
            for number, status in enumerate(statuses)
        ]
    return tuple(replace(row, status=str(status)) for row, status in zip(ordered, statuses, strict=True))


def _patterns(told: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in told)


def _status_of(
    row: SeriesRow,
    rules: SeriesRules,
    include: tuple[re.Pattern[str], ...],
    exclude: tuple[re.Pattern[str], ...],
) -> SeriesStatus:
    if row.patient in rules.exclude_patients or row.key in rules.exclude_series:
        return SeriesStatus.EXCLUDED
    if _unwanted(row.modality, rules.modality):
        return SeriesStatus.OTHER_MODALITY
    if _unwanted(row.sop_class, rules.sop_class):
        capture = row.sop_class.startswith(SECONDARY_CAPTURE)
        return SeriesStatus.SECONDARY_CAPTURE if capture else SeriesStatus.OTHER_SOP_CLASS
    if _unwanted(row.photometric, rules.photometric):
        return SeriesStatus.OTHER_PHOTOMETRIC
    if 0 < row.images < rules.min_images:
        return SeriesStatus.TOO_FEW_IMAGES
    if rules.max_images is not None and row.images > rules.max_images:
        return SeriesStatus.TOO_MANY_IMAGES
    descriptions = [text for text in map(single_spaced, (row.description, row.study_description)) if text]
    if descriptions and include and not _found(include, descriptions):
        return SeriesStatus.DESCRIPTION
    if _found(exclude, descriptions):
        return SeriesStatus.EXCLUDED_DESCRIPTION
    if rules.kernel != "any" and kernel_family(row.kernel, row.description) not in (rules.kernel, "unknown"):
        return SeriesStatus.OTHER_KERNEL
    return SeriesStatus.SELECTED


def _unwanted(value: str, wanted: tuple[str, ...]) -> bool:
    return bool(value and wanted) and value not in wanted


def _found(patterns: tuple[re.Pattern[str], ...], texts: list[str]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in texts)
