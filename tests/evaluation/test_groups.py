"""Groups of patients in a report: who is named, who is not, and what of it a published set says."""

import re
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chestgan_core.dicom.patient_facts import AGE_BANDS, SEXES
from chestgan_core.documents.blocks import Document, Section
from chestgan_core.documents.html import as_html
from chestgan_core.evaluation.pages.group_charts import groups_png
from chestgan_core.evaluation.pages.group_page import group_blocks, groups_table
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.group_block import FEWEST, OTHERS, UNKNOWN, GroupBlock
from chestgan_core.evaluation.scoring.group_metrics import measure_groups, merged_groups
from chestgan_core.evaluation.scoring.report_payload import ReportPayload
from chestgan_core.evaluation.scoring.sides import RealImages, Sides, draw_sides
from chestgan_core.imaging.pictures import png_of
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.split.row import SplitRow
from chestgan_core.publishing.writing.documents import card_facts, set_documents
from chestgan_core.publishing.writing.provenance import CardFacts
from chestgan_core.slices.groups import PERSONAL, group_labels
from chestgan_core.slices.shards import SliceRow
from chestgan_core.slices.training_rows import SCHEMA
from chestgan_core.store.artefacts import parse_typed
from tests.publishing.card_facts import gathered, metrics_of, rows_of

PER_PATIENT, DIMENSION = 10, 6
DRAWN = np.random.default_rng(0)


def row(patient: int, at: int, **known: Any) -> SliceRow:
    """Of a patient whose kernel is sharp from number 8 on, and whose sex is known."""
    sharp = patient >= 8
    plain = {"kernel": "B70f" if sharp else "B30f", "sex": "FM"[patient % 2], "thickness_mm": 1.0}
    return SliceRow(
        f"Lung_Dx-A{patient:04d}",
        "A",
        f"1.2.{patient}",
        f"1.2.{patient}.{at}",
        3.0 * at,
        0.3,
        5.0,
        **{**plain, **known},
    )


def side(numbers: range, **known: Any) -> RealImages:
    rows = tuple(row(patient, at, **known) for patient in numbers for at in range(PER_PATIENT))
    return RealImages(torch.zeros(len(rows), 1, 32, 32), tuple(one.patient for one in rows), (), rows)


def features_of(images: RealImages, seed: int) -> np.ndarray:
    """Patients with a sharp kernel are two units from the others."""
    rng = np.random.default_rng(seed)
    centres = {patient: rng.standard_normal(DIMENSION) * 0.3 for patient in sorted(set(images.patients))}
    kernels = np.array([2.0 * (one.kernel == "B70f") for one in images.rows])
    own = np.array([centres[patient] for patient in images.patients])
    found: np.ndarray = own + kernels[:, None] + rng.standard_normal(own.shape)
    return found.astype(np.float32)


def block_of(forgotten: bool = True, seed: int = 0, hounsfield: bool = True, **known: Any) -> GroupBlock:
    """Of a generator that makes both kernels, or soft ones only."""
    held_out, other = side(range(16), **known), side(range(20, 26), **known)
    made = side(range(0, 8 if forgotten else 16))
    count = len(held_out.images)
    fake = np.resize(features_of(made, 5) + 0.1, (count, DIMENSION)).astype(np.float32)
    sides = Sides(
        held_out, torch.zeros(count, 1, 32, 32), (), other, other.images, "real", torch.zeros(0, 1, 32, 32)
    )
    features = {"real": features_of(held_out, 1), "synthetic": fake, "other": features_of(other, 2)}
    block = measure_groups(sides, features, "net:abc", seed, hounsfield)
    assert block is not None
    return block


FORGOTTEN = block_of()


def test_the_forgotten_kernel_is_named_with_its_numbers_and_the_rest_beside_it() -> None:
    assert [one.name for one in FORGOTTEN.worse] == ["lung"]
    said = FORGOTTEN.sentence
    assert said.startswith("Worse than the rest: patients with slices of a lung kernel.")
    assert "among 8 comparisons of groups by kernel and sex" in said
    by_kernel = {group.name: group for group in FORGOTTEN.groupings[0].groups}
    assert [one.kind for one in FORGOTTEN.groupings] == ["kernel", "sex"]
    assert sum(group.held_out.images for group in by_kernel.values()) == FORGOTTEN.images == 160
    assert FORGOTTEN.not_compared["age"] == "not known"
    assert FORGOTTEN.not_compared["thickness"].startswith("one group only")
    lung, soft = by_kernel["lung"].held_out, by_kernel["soft"].held_out
    assert lung.coverage is not None
    assert soft.coverage is not None
    assert lung.coverage.value < soft.coverage.value
    assert by_kernel["lung"].train is not None  # six patients were trained on
    assert by_kernel["soft"].train is None  # no one


def test_where_all_are_made_no_group_is_named() -> None:
    block = block_of(forgotten=False)
    assert block.worse == ()
    assert block.sentence.startswith("No group shown to be worse than the rest, among 8 comparisons")


def test_of_pictures_there_are_classes_only() -> None:
    block = block_of(hounsfield=False)
    assert block.groupings == ()
    assert set(block.not_compared) == {"class"}
    assert block.single == ()
    assert block.sentence.startswith("No group could be compared")
    assert block.published(private=False) == ""


patients = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abcd ")), min_size=1, max_size=40)


@given(patients)
@settings(deadline=None)
def test_no_group_has_fewer_than_three_patients_unless_it_is_everyone(drawn: list[tuple[int, str]]) -> None:
    who = [f"P{patient}" for patient, _ in drawn]
    merged = merged_groups([label.strip() for _, label in drawn], who)
    assert len(merged) == len(drawn)
    for name in set(merged):
        people = {patient for patient, group in zip(who, merged, strict=True) if group == name}
        assert len(people) >= FEWEST or set(merged) == {name} or name == UNKNOWN
    # Images of one label stay together.
    assert len(set(zip([label for _, label in drawn], merged, strict=True))) == len(
        {label for _, label in drawn}
    )


def test_one_patient_of_whom_it_is_not_known_hides_no_group_and_has_no_line() -> None:
    people = [f"P{number}" for number in range(7)]
    assert merged_groups(["a"] * 3 + ["b"] * 3 + [""], people) == ["a"] * 3 + ["b"] * 3 + [UNKNOWN]
    # One of a rare group is hidden among them.
    assert merged_groups(["a"] * 3 + ["c"] + [""] * 3, people) == ["a"] * 3 + [OTHERS] * 4
    assert {UNKNOWN, OTHERS} & {group.name for one in FORGOTTEN.groupings for group in one.groups} == set()


def test_no_patient_is_named_and_their_numbers_are_drawn() -> None:
    said = str(asdict(FORGOTTEN))
    assert "Lung_Dx" not in said
    assert {one.name for one in FORGOTTEN.single} == {f"p{number}" for number in range(1, 17)}
    # Another seed numbers the same patients otherwise.
    of_number = [{one.name: one.held_out.distance for one in block_of(seed=seed).single} for seed in (0, 1)]
    assert of_number[0].keys() == of_number[1].keys()
    assert of_number[0] != of_number[1]


def test_a_block_comes_back_from_json() -> None:
    assert parse_typed(GroupBlock, asdict(FORGOTTEN), "report.json", "again", "a block") == FORGOTTEN


def test_the_page_has_sentence_table_and_figure_and_names_nobody() -> None:
    report = evaluate(
        side(range(2)), torch.rand(20, 1, 32, 32) * 2 - 1, window=WINDOWS["lung"], source_title="made up",
        image_kind="real", model_title="noise", extractors=(),
    )  # fmt: skip
    assert report.groups is None  # without features
    payload: ReportPayload = replace(report, groups=FORGOTTEN)
    png = groups_png(FORGOTTEN)
    assert png.startswith(b"\x89PNG")
    assert png == groups_png(block_of())  # equal numbers, equal bytes
    blocks = group_blocks(payload, {"groups.png": png})
    html = as_html(Document("Report", "", (), (Section("By groups of patients", tuple(blocks)),)))
    for said in (
        "Worse than the rest",
        "patients with slices of a lung kernel",
        "female",
        "p1",
        "Not compared by age",
    ):
        assert said in html
    assert "Lung_Dx" not in html
    table = groups_table(FORGOTTEN)
    assert {cells[1] for cells in table.rows} == {"soft", "lung", "female", "male"}
    assert group_blocks(report, {}) == []


def test_images_keep_their_rows_when_sides_are_drawn() -> None:
    held_out = side(range(3))
    drawn = draw_sides(held_out, held_out.images, (), side(range(5, 8)), 20, 0, "real")
    assert tuple(one.patient for one in drawn.held_out.rows) == drawn.held_out.patients
    assert drawn.other is not None
    assert tuple(one.patient for one in drawn.other.rows) == drawn.other.patients


@pytest.mark.parametrize(
    ("kind", "private", "said"),
    [
        ("kernel", False, "patients with slices of a lung kernel"),
        ("kernel", True, "one of the groups by kernel"),
        ("sex", False, "one of the groups by sex"),
        ("age", True, "one of the groups by age"),
    ],
)
def test_a_published_set_names_no_sex_no_age_and_of_private_patients_nothing(
    kind: Any, private: bool, said: str
) -> None:
    name = {"kernel": "lung", "sex": "female", "age": "75 and over"}[kind]
    block = replace(FORGOTTEN, worse=(replace(FORGOTTEN.worse[0], kind=kind, name=name),))
    published = block.published(private)
    assert f"covered worse than the rest: {said}." in published
    assert not any(band in published for band in AGE_BANDS)
    assert not any(f"{sex} patients" in published for sex in SEXES.values())
    few = replace(FORGOTTEN, worse=(replace(FORGOTTEN.worse[0], patients=4),))
    assert "one of the groups by kernel" in few.published(private=False)


def test_a_card_has_the_sentence_and_nothing_else_of_the_block_that_a_report_has() -> None:
    """The block as a release would hand it over with the rest of a report, with sex and age in it."""
    ages = replace(
        FORGOTTEN.groupings[1],
        kind="age",
        groups=tuple(
            replace(one, name=band)
            for one, band in zip(FORGOTTEN.groupings[1].groups, AGE_BANDS[:2], strict=True)
        ),
    )
    block = replace(FORGOTTEN, groupings=(*FORGOTTEN.groupings, ages))
    assert block.groupings[1].kind == "sex"
    metrics = metrics_of(rows_of({})) | {
        "groups": asdict(block),
        "covered_worse": block.published(private=False),
    }
    facts = SetFacts("tiny", "tiny", 20, 100, 64, -600.0, 1500.0, "ab" * 32, "Chest CT", "CC BY 4.0")
    card = card_facts(facts, {"family": "dcgan"}, gathered(metrics=metrics), {})
    for name, data in set_documents(card, png_of(Image.new("L", (8, 8)))).items():
        text = data.decode()
        if name in ("README.md", "card.html", "provenance.json"):
            assert "covered worse than the rest: patients with slices of a lung kernel" in text
        assert not re.search(r"\b(fe)?male\b|50 to 64|under 50|75 and over|age_band|groupings", text), name


def test_what_a_set_publishes_has_no_place_for_groups_sex_or_age() -> None:
    """By the types of all that its files are written from: whatever a report holds, it cannot get into a set."""
    seen: set[type] = set()

    def names_in(kind: Any) -> set[str]:
        found = {name for part in get_args(kind) for name in names_in(part)}
        if is_dataclass(kind) and isinstance(kind, type) and kind not in seen:
            seen.add(kind)
            for name, part in get_type_hints(kind).items():
                found |= {name} | names_in(part)
        return found

    names = names_in(CardFacts)
    assert {"metrics", "covered_worse", "split", "rows"} <= names  # the walk has been inside
    forbidden = {"sex", "age", "age_band", "groups", "groupings", "single"}
    assert not forbidden & names
    assert GroupBlock not in seen
    assert not forbidden & {field.name for field in fields(SplitRow)}
    assert not forbidden & set(SCHEMA.names)  # rows of a training set, from which a split is made
    assert set(PERSONAL) == {"sex", "age"}


def test_labels_are_of_closed_lists_and_unknown_ones_empty() -> None:
    labels = group_labels([row(0, 0, kernel="Mueller", sex="", thickness_mm=0.0)], hounsfield=True)
    assert labels["kernel"] == labels["sex"] == labels["thickness"] == labels["age"] == ("",)
    assert labels["histology"] == ("adenocarcinoma",)
    assert OTHERS not in labels.values()
