"""The selection rules of a dataset applied to its series: each series gets one status.

In: SeriesRow with the fields that its source knows, SeriesRules. Out: the same rows with `status`, sorted. The order of
the input does not matter.

A row of a folder is one stack of a series: each scan and reconstruction is judged by its own description and kernel. A
rule never excludes a row in which its field is unknown ("" or 0): NBIA's list of series has neither SOP class nor
photometric interpretation, and series that are not CT images are found when their files arrive. The rules apply in the
order of `SeriesStatus`; the first that a series does not meet gives its status.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from chestgan_core.config.dataset import SeriesRules
from chestgan_core.dicom.patient_ids import normal_patient_id
from chestgan_core.reasons import Reason
from chestgan_core.sources.catalog.kernels import kernel_family
from chestgan_core.sources.series_rows import ANOTHER_CHOSEN, FORGOTTEN, SELECTED, SeriesRow, single_spaced
from chestgan_core.store.artefacts import content_version

if TYPE_CHECKING:
    from chestgan_core.dicom.series import Series

_OF_STACKS = ("min_images", "max_images", "include_description", "exclude_description", "kernel")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # with .1 to .4: the multi-frame ones


class SeriesStatus(Reason):
    """Why a series is left out, or that it is selected. The value is printed in reports; `.meaning` explains it."""

    FORGOTTEN = FORGOTTEN, "its patient has withdrawn (chestgan forget); nothing else of it is known here"
    EXCLUDED = "excluded", "the dataset excludes it or its patient (exclude_series, exclude_patients)"
    OTHER_MODALITY = (
        "other-modality",
        "another modality than the rules allow: PET, segmentation, structured report",
    )
    SECONDARY_CAPTURE = "secondary-capture", "a screen capture or a fused colour image, not measured values"
    OTHER_SOP_CLASS = "other-sop-class", "another SOP class than the rules allow"
    OTHER_PHOTOMETRIC = "other-photometric", "another photometric interpretation than the rules allow"
    TOO_FEW_IMAGES = (
        "too-few-images",
        "fewer images than the rules require: a localizer, a bolus test or a fragment",
    )
    TOO_MANY_IMAGES = "too-many-images", "more images than the rules allow"
    DESCRIPTION = (
        "description",
        "neither the series nor the study has a description that matches include_description",
    )
    EXCLUDED_DESCRIPTION = (
        "excluded-description",
        "the series or the study has a description that matches exclude_description",
    )
    OTHER_KERNEL = "other-kernel", "reconstructed with a kernel of another family than the rules allow"
    ANOTHER_CHOSEN = ANOTHER_CHOSEN, "meets every rule, but the patient has a smaller series that does"
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
                # Among equally small ones the first by key decides: every source knows keys, few know bytes.
                smallest[row.patient] = number
        chosen = set(smallest.values())
        statuses = [
            SeriesStatus.ANOTHER_CHOSEN
            if status is SeriesStatus.SELECTED and number not in chosen
            else status
            for number, status in enumerate(statuses)
        ]
    return tuple(replace(row, status=str(status)) for row, status in zip(ordered, statuses, strict=True))


def stack_problem(series: "Series", rules: SeriesRules) -> str:
    """Why the rules exclude one stack of a fetched series, as its own header describes it; empty: they do not.

    A table of a provider describes a series as a whole, so that its stacks are judged only now.
    """
    row = SeriesRow(
        patient="",
        key="",
        images=len(series.slices),
        revision="",
        description=series.description,
        study_description=series.study_description,
        kernel=series.kernel,
    )
    status = _status_of(
        row, rules, _patterns(rules.include_description), _patterns(rules.exclude_description)
    )
    return "" if status is SeriesStatus.SELECTED else f"{status}: {status.meaning}"


def stack_rules(rules: SeriesRules) -> str:
    """16 hexadecimal digits that name the rules that `stack_problem` applies; empty where there are none."""
    named, none = (one.model_dump(mode="json", include=set(_OF_STACKS)) for one in (rules, SeriesRules()))
    return "" if named == none else content_version(named)


def _patterns(expressions: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(expression, re.IGNORECASE) for expression in expressions)


def _status_of(
    row: SeriesRow,
    rules: SeriesRules,
    include: tuple[re.Pattern[str], ...],
    exclude: tuple[re.Pattern[str], ...],
) -> SeriesStatus:
    if row.patient in _ids(rules.exclude_patients) or {row.key, row.series} & _ids(rules.exclude_series):
        return SeriesStatus.EXCLUDED
    if _excluded(row.modality, rules.modality):
        return SeriesStatus.OTHER_MODALITY
    if _excluded(row.sop_class, rules.sop_class):
        capture = row.sop_class.startswith(SECONDARY_CAPTURE)
        return SeriesStatus.SECONDARY_CAPTURE if capture else SeriesStatus.OTHER_SOP_CLASS
    if _excluded(row.photometric, rules.photometric):
        return SeriesStatus.OTHER_PHOTOMETRIC
    if 0 < row.images < rules.min_images:
        return SeriesStatus.TOO_FEW_IMAGES
    if rules.max_images is not None and row.images > rules.max_images:
        return SeriesStatus.TOO_MANY_IMAGES
    descriptions = [text for text in map(single_spaced, (row.description, row.study_description)) if text]
    if descriptions and include and not _match(include, descriptions):
        return SeriesStatus.DESCRIPTION
    if _match(exclude, descriptions):
        return SeriesStatus.EXCLUDED_DESCRIPTION
    if rules.kernel != "any" and kernel_family(row.kernel, row.description) not in (rules.kernel, "unknown"):
        return SeriesStatus.OTHER_KERNEL
    return SeriesStatus.SELECTED


def _ids(listed: tuple[str, ...]) -> set[str]:
    """As the names of the catalog were made: in the form in which ids are compared."""
    return {normal_patient_id(name) for name in listed}


def _excluded(value: str, allowed: tuple[str, ...]) -> bool:
    return bool(value and allowed) and value not in allowed


def _match(patterns: tuple[re.Pattern[str], ...], texts: list[str]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in texts)
