"""Which series of a collection are selected, and the one reason for each that is not."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.dataset import SeriesRules, dataset_named
from chestgan_core.reasons import in_words
from chestgan_core.sources.catalog.series_selection import SeriesStatus, select_series
from chestgan_core.sources.series_rows import SELECTED, Catalog, SeriesRow
from tests.sources.catalog.series_rows import CT, SECONDARY_CAPTURE, series_row

STRICT = SeriesRules(
    sop_class=(CT,),
    photometric=("MONOCHROME2",),
    min_images=20,
    max_images=400,
    include_description=("^chest",),
    exclude_description=("scout",),
    kernel="soft",
    series_per_patient="smallest",
    exclude_patients=("Lung_Dx-A0009",),
    exclude_series=("2.25.99",),
)


def status(rules: SeriesRules = STRICT, **changes: object) -> str:
    return select_series([series_row(**changes)], rules)[0].status


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SeriesStatus.SELECTED),
        ({"patient": "Lung_Dx-A0009"}, SeriesStatus.EXCLUDED),
        ({"key": "2.25.99"}, SeriesStatus.EXCLUDED),
        ({"modality": "PT"}, SeriesStatus.OTHER_MODALITY),
        ({"sop_class": SECONDARY_CAPTURE, "photometric": "RGB"}, SeriesStatus.SECONDARY_CAPTURE),
        ({"sop_class": f"{SECONDARY_CAPTURE}.4"}, SeriesStatus.SECONDARY_CAPTURE),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.2.1"}, SeriesStatus.OTHER_SOP_CLASS),
        ({"photometric": "MONOCHROME1"}, SeriesStatus.OTHER_PHOTOMETRIC),
        ({"images": 19}, SeriesStatus.TOO_FEW_IMAGES),
        ({"images": 401}, SeriesStatus.TOO_MANY_IMAGES),
        ({"study_description": "Head"}, SeriesStatus.DESCRIPTION),
        ({"description": "Scout"}, SeriesStatus.EXCLUDED_DESCRIPTION),
        ({"description": "Thorax 1.0 B70f"}, SeriesStatus.OTHER_KERNEL),
        ({"description": "", "kernel": "LUNG"}, SeriesStatus.OTHER_KERNEL),
    ],
)
def test_each_rule_has_its_own_reason(changes, expected):
    assert status(**changes) == expected
    assert expected.meaning


@pytest.mark.parametrize("field", ["modality", "sop_class", "photometric", "images", "description", "kernel"])
def test_an_unknown_field_excludes_nothing(field):
    assert status(**{field: 0 if field == "images" else ""}) == SELECTED


def test_a_series_of_which_nothing_is_known_is_selected():
    unknown = {"modality": "", "sop_class": "", "photometric": "", "images": 0}
    assert status(**unknown, description="", study_description="", manufacturer="") == SELECTED


@pytest.mark.parametrize("text", ["Chest 3D", "Chest  3D", " chest\t3d ", "CHEST 3D"])
def test_white_space_and_case_of_a_description_do_not_matter(text):
    rules = SeriesRules(include_description=("^Chest 3D$",))
    assert status(rules, description="", study_description=text) == SELECTED
    assert status(rules, description=text, study_description="Thorax") == SELECTED


def test_a_pattern_can_require_the_case():
    rules = SeriesRules(include_description=("^(?-i:Chest)$",))
    assert status(rules, study_description="Chest") == SELECTED
    assert status(rules, study_description="CHEST") == SeriesStatus.DESCRIPTION


def test_the_first_rule_that_is_not_met_is_the_reason():
    assert status(modality="PT", images=1, description="scout") == SeriesStatus.OTHER_MODALITY


def test_the_smallest_clean_series_is_selected_and_the_first_key_among_equals():
    rows = [
        series_row(key="2.25.5", images=25),
        series_row(key="2.25.4", images=25, bytes=1),
        series_row(key="2.25.1", images=30),
        series_row(key="2.25.2", images=3),
        series_row(patient="Lung_Dx-B0002", key="2.25.3", images=300),
    ]
    assert {row.key: row.status for row in select_series(rows, STRICT)} == {
        "2.25.1": SeriesStatus.ANOTHER_CHOSEN,
        "2.25.2": SeriesStatus.TOO_FEW_IMAGES,
        "2.25.3": SELECTED,
        "2.25.4": SELECTED,
        "2.25.5": SeriesStatus.ANOTHER_CHOSEN,
    }


def test_words_name_the_most_frequent_reason_first():
    assert in_words({"excluded": 1, "too-few-images": 84}) == "too-few-images 84, excluded 1"
    assert in_words({}) == "nothing"


def test_the_rules_of_both_shipped_collections_exclude_a_colour_capture():
    captured = {"sop_class": SECONDARY_CAPTURE, "photometric": "RGB", "description": "<ALPHA Range[1]>"}
    idc, nbia = (dataset_named(name).selection for name in ("lung_pet_ct_dx", "lung_pet_ct_dx_nbia"))
    assert status(idc, **captured) == SeriesStatus.SECONDARY_CAPTURE
    unseen = {**captured, "sop_class": "", "photometric": ""}
    assert status(nbia, **unseen) == SeriesStatus.EXCLUDED_DESCRIPTION


ROWS = st.lists(
    st.builds(
        series_row,
        patient=st.sampled_from(["Lung_Dx-A0001", "Lung_Dx-G0002", "Lung_Dx-A0009"]),
        key=st.integers(1, 99).map("2.25.{}".format),
        modality=st.sampled_from(["CT", "PT", "SR", ""]),
        sop_class=st.sampled_from([CT, SECONDARY_CAPTURE, ""]),
        photometric=st.sampled_from(["MONOCHROME2", "RGB", ""]),
        description=st.sampled_from(["5mm Lung", "B31f", "scout", ""]),
        images=st.integers(0, 500),
        histology=st.sampled_from(["A", "G", ""]),
    ),
    unique_by=lambda row: row.key,
    max_size=30,
)
RULES = st.sampled_from(
    [
        STRICT,
        SeriesRules(),
        STRICT.model_copy(update={"series_per_patient": "all"}),
        SeriesRules(series_per_patient="smallest"),
    ]
)


@given(ROWS, RULES, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(rows, rules, random):
    shuffled = random.sample(rows, len(rows))
    assert select_series(shuffled, rules) == select_series(rows, rules)


@given(ROWS, RULES)
def test_every_row_has_exactly_one_status_and_the_counts_add_up(rows: list[SeriesRow], rules: SeriesRules):
    decided = select_series(rows, rules)
    assert sorted(replace(row, status="").key for row in decided) == sorted(row.key for row in rows)
    assert {row.status for row in decided} <= {str(status) for status in SeriesStatus}
    summary = Catalog(decided).summary()
    assert summary.selected.series + sum(summary.left_out_series.values()) == summary.series == len(rows)
    assert summary.clean.series == summary.selected.series + summary.left_out_series.get(
        SeriesStatus.ANOTHER_CHOSEN, 0
    )
    assert sum(part.images for part in summary.histology.values()) == summary.selected.images


@given(ROWS)
def test_of_each_patient_with_a_clean_series_exactly_one_is_selected_and_none_is_smaller(
    rows: list[SeriesRow],
):
    clean = [
        row
        for row in select_series(rows, STRICT.model_copy(update={"series_per_patient": "all"}))
        if row.status == SELECTED
    ]
    selected = [row for row in select_series(rows, STRICT) if row.status == SELECTED]
    assert Counter(row.patient for row in selected) == Counter({row.patient for row in clean})
    for row in selected:
        assert row.images == min(other.images for other in clean if other.patient == row.patient)
