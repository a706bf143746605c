"""Sets whose images were asked for tumours: what labels say of it, what is not known, and that it makes them again."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.errors import BadExperiment, BadInput, DamagedObject, StoreUnreachable
from chestgan_core.imaging.pictures import FRAME
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.table import draw_layouts
from chestgan_core.publishing import open_set, stream_set
from chestgan_core.publishing.dicom_export.export import export_dicom
from chestgan_core.publishing.reader.labels import (
    MAX_BOXES,
    label_json,
    labels_of_tars,
    read_label,
    read_labels,
)
from chestgan_core.publishing.reader.levels import levels_of
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import GENERATOR, SetFolder, parse_set, read_set_folder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.transfer.generated_upload import publish_plan
from chestgan_core.publishing.transfer.staging import Staging
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.whose.whose import whose
from chestgan_core.publishing.writing import image_tars
from chestgan_core.publishing.writing.asked import layout_of_label
from chestgan_core.publishing.writing.contents import plan_set, weights_file
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.store import Store
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator, save_generator
from tests.publishing import form_images
from tests.publishing.boxed_sets import (
    BOXES,
    FIRST_SEED,
    IMAGES,
    POSITIONS,
    asking_experiment,
    asking_generator,
    layouts_by_hand,
    write_boxed_set,
)
from tests.publishing.hostile_sets import replace_labels


@pytest.fixture
def boxed(asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path) -> SetFolder:
    """Images with no, one and two tumours, and one of which nothing is said."""
    return write_boxed_set(asking, tmp_path / "boxed", provenance)


@pytest.fixture(scope="module")
def drawn(
    asking: LoadedGenerator, provenance: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> SetFolder:
    """40 images of which half are asked for a tumour, and the generator; not to be changed."""
    folder = tmp_path_factory.mktemp("drawn")
    save_generator(folder, asking.module, asking.experiment, layouts=asking.layouts)
    weights = {GENERATOR: weights_file(folder / GENERATOR)}
    return write_set(
        *(asking, asking.experiment, 40, 7, folder / "set", provenance),
        extra_files=weights,
        tumour_fraction=0.5,
    )


def test_labels_say_what_was_asked_in_every_place_where_they_are_read(boxed: SetFolder) -> None:
    expected = [
        (
            None if asked is None else [list(box) for box in asked],
            POSITIONS[(FIRST_SEED + k) % len(POSITIONS)],
        )
        for k, asked in enumerate(BOXES)
    ]
    assert boxed.facts.conditions == ("position", "tumour")
    reader, rows = SetReader(boxed), read_labels(boxed)
    assert list(rows) == list(labels_of_tars(boxed))
    assert [(row["boxes"], row["position"]) for row in rows] == expected
    labels = [reader.label(k) for k in range(IMAGES)]
    assert [(label["boxes"], label["position"]) for label in labels] == expected
    streamed = stream_set(boxed.path, target_transform=lambda label: (label["boxes"], label["position"]))
    assert [said for _, said in streamed] == expected
    table = pq.read_table(boxed.path / "labels.parquet").to_pydict()
    assert table["boxes"] == [json.dumps(boxes, separators=(",", ":")) for boxes, _ in expected]
    assert [None if np.isnan(one) else one for one in table["position"]] == [one for _, one in expected]
    assert verify_set(boxed.path).broken == {}


def test_the_images_are_those_that_the_generator_makes_of_these_layouts(
    boxed: SetFolder, asking: LoadedGenerator
) -> None:
    seeds, reader = boxed.facts.seeds, SetReader(boxed)
    made = levels_of(generate(asking, seeds, layouts_by_hand().of(seeds))[:, 0].numpy(), 8)
    assert all(np.array_equal(made[k], reader.levels(k)) for k in range(IMAGES))
    # They depend on them: the same seeds, asked for nothing, are other images.
    nothing = levels_of(generate(asking, seeds, [Layout()] * IMAGES)[:, 0].numpy(), 8)
    assert not np.array_equal(made[2], nothing[2])


@pytest.mark.parametrize(
    ("classes", "position", "tumour", "conditions"),
    [
        ((), False, True, ("tumour",)),
        ((), True, False, ("position",)),
        (("A", "B"), True, True, ("class", "position", "tumour")),
    ],
)
def test_of_what_a_generator_is_not_told_nothing_is_known(
    classes: tuple[str, ...],
    position: bool,
    tumour: bool,
    conditions: tuple[str, ...],
    provenance: dict[str, str],
    tmp_path: Path,
) -> None:
    generator = asking_generator(tmp_path / "model", asking_experiment(classes, position, tumour))
    made = write_set(generator, generator.experiment, 40, 0, tmp_path / "set", provenance)
    rows = list(read_labels(made))
    assert made.facts.conditions == conditions
    assert {row["boxes"] is None for row in rows} == ({True, False} if tumour else {True})
    assert any(row["boxes"] == [] for row in rows) == tumour
    assert any(row["boxes"] for row in rows) == tumour
    assert all((row["position"] is not None) == position for row in rows)
    layouts = draw_layouts(generator.layouts, range(40), len(classes))  # type: ignore[arg-type]
    assert [layout_of_label(row) for row in rows] == [
        layout if tumour else replace(layout, boxes=None) for layout in layouts
    ]


def test_of_images_of_an_unconditional_generator_no_label_says_that_there_is_no_tumour(
    ready: SetFolder,
) -> None:
    assert ready.facts.conditions == ()
    assert {(row["boxes"], row["position"]) for row in read_labels(ready)} == {(None, None)}  # type: ignore[comparison-overlap]


def test_a_fraction_of_tumours_says_of_every_image_whether_one_was_asked_for(drawn: SetFolder) -> None:
    rows = list(read_labels(drawn))
    assert drawn.facts.tumour_fraction == 0.5
    assert all(row["boxes"] is not None for row in rows)
    assert 12 <= sum(bool(row["boxes"]) for row in rows) <= 28


def test_boxes_that_are_drawn_can_be_kept_by_dicom(drawn: SetFolder, tmp_path: Path) -> None:
    done = export_dicom(drawn.path, tmp_path / "dicom")
    assert done.reports == sum(bool(row["boxes"]) for row in read_labels(drawn)) > 0


def test_published_images_are_made_again_from_their_labels_and_others_from_what_is_drawn(
    drawn: SetFolder, asking: LoadedGenerator
) -> None:
    published = open_set(drawn.path)
    made = open_set(drawn.path, seeds=range(60), device="cpu", target_transform=lambda label: label)
    assert made.equality == "same"
    items = list(made)
    for k in range(40):
        image, label = items[7 + k]
        assert torch.equal(image, published[k][0])
        assert {**label, "file": f"{k:06d}.png"} == published.label(k)
    [beyond] = draw_layouts(asking.layouts, [50], 0, 0.5)  # type: ignore[arg-type]
    _, label = made[50]
    assert layout_of_label(label) == beyond
    assert np.array_equal(
        made.levels_of([50])[0], levels_of(generate(asking, [50], [beyond])[0, 0].numpy(), 8)
    )


def test_layouts_by_hand_are_made_again_from_the_labels_alone(
    asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    save_generator(tmp_path, asking.module, asking.experiment, layouts=asking.layouts)
    made = write_set(
        *(asking, asking.experiment, IMAGES, FIRST_SEED, tmp_path / "set", provenance),
        extra_files={GENERATOR: weights_file(tmp_path / GENERATOR)},
        layouts=layouts_by_hand(),
    )
    assert open_set(made.path, seeds=[FIRST_SEED], device="cpu").equality == "same"


def test_the_model_makes_an_image_again_by_its_label_or_by_what_its_dicom_file_says(
    drawn: SetFolder, store: Store, tmp_path: Path
) -> None:
    export_dicom(drawn.path, tmp_path / "dicom")
    asked = next(row["index"] for row in read_labels(drawn) if row["boxes"])
    path = tmp_path / "dicom" / f"{asked:06d}.dcm"
    publish_set(store, drawn)
    found = whose(store, path, "cpu")
    assert (found.by, found.index, found.compared.verdict) == ("sha256", asked, "same")
    # In a store that lists the model, and not this version.
    other = write_set_of(drawn, tmp_path / "other")
    store.delete(drawn.manifest_key)
    store.delete("synthetic/index.json")
    publish_set(store, other)
    claimed = whose(store, path, "cpu")
    assert (claimed.by, claimed.compared.verdict) == ("metadata", "same")


def write_set_of(drawn: SetFolder, folder: Path) -> SetFolder:
    """Another set of the generator that a set holds."""
    from chestgan_core.training.weights import load_generator

    generator = load_generator(drawn.path / GENERATOR)
    given = {"source": "generated phantom images", "source_licence": "none needed"}
    weights = {GENERATOR: weights_file(drawn.path / GENERATOR)}
    return write_set(generator, generator.experiment, 2, 900, folder, given, extra_files=weights)


def test_a_release_that_was_interrupted_publishes_the_same_images_and_labels(
    asking: LoadedGenerator,
    provenance: dict[str, str],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(image_tars, "IMAGES_PER_TAR", 8)
    whole = write_set(
        *(asking, asking.experiment, 32, 100, tmp_path / "whole", provenance), tumour_fraction=0.5
    )
    plan = plan_set(asking, asking.experiment, 32, 100, provenance, tumour_fraction=0.5)
    put, done = Staging.put, []

    def goes_away(self: Staging, tar: image_tars.ImageTar) -> None:
        if len(done) == 2:
            raise StoreUnreachable("the store", "went away", "wait")
        done.append(tar.number)
        put(self, tar)

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "put", goes_away)
        (tmp_path / "first").mkdir()
        with pytest.raises(StoreUnreachable):
            publish_plan(store, plan, tmp_path / "first")
    (tmp_path / "second").mkdir()
    assert publish_plan(store, plan, tmp_path / "second").version == whole.version


def test_releases_with_another_fraction_share_no_staged_image(
    asking: LoadedGenerator, provenance: dict[str, str], store: Store
) -> None:
    def folder(fraction: float | None) -> str:
        plan = plan_set(asking, asking.experiment, 8, 0, provenance, tumour_fraction=fraction)
        return Staging(store, plan)._folder

    assert len({folder(fraction) for fraction in (None, 0.0, 0.5, 1.0)}) == 4


def test_the_samples_show_a_frame_around_each_box_and_the_published_images_none(boxed: SetFolder) -> None:
    samples = Image.open(io.BytesIO(boxed.samples_png))
    assert (samples.mode, samples.size) == ("RGB", (8 * 130 - 2, 128))
    pixels = np.array(samples)
    framed = (pixels == FRAME).all(axis=2)
    # Image 1 has one box: x 3.25 to 20.5, y 10.3 to 31.75, at twice its size.
    assert [framed[:, at * 130 : at * 130 + 128].any() for at in range(IMAGES)] == [False, True, True, False]
    rows, columns = framed[:, 130:258].nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (19, 64, 5, 41)
    shown = pixels[::2, :128:2, 0]
    assert np.array_equal(shown, SetReader(boxed).levels(0))


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (Layout(((0.0, 0.0, 64.5, 3.0),)), "not within 64 x 64 pixels"),
        (Layout(((5.0, 0.0, 5.0, 3.0),)), "not within 64 x 64 pixels"),
        (Layout(((float("nan"), 0.0, 5.0, 3.0),)), "not within 64 x 64 pixels"),
        (Layout(((0.0, 0.0, 5.0, 3.0),) * 9), "more than 8 boxes"),
        (Layout((), 1.5), r"position 1\.5"),
        (Layout((), 0.5, "A"), "is of the class A"),
    ],
)
def test_a_layout_that_no_label_can_say_ends_before_the_first_image(
    layout: Layout, said: str, asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    source = image_tars.LayoutSource(lambda seeds: [layout] * len(seeds), "wrong")
    with pytest.raises(BadInput, match=said):
        write_set(asking, asking.experiment, 2, 0, tmp_path / "set", provenance, layouts=source)
    assert not (tmp_path / "set" / "manifest.json").exists()


def test_a_fraction_of_tumours_needs_a_generator_that_is_told_of_them(
    generator: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="is not told where tumours are"):
        write_set(generator, generator.experiment, 2, 0, tmp_path, provenance, tumour_fraction=0.5)
    from chestgan_core.config.experiment import parse_experiment

    fields = {"dataset": "phantom", "training": {"images": 1}, "publication": {"tumour_fraction": 0.5}}
    with pytest.raises(BadExperiment, match=r"publication\.tumour_fraction: the generator is not told"):
        parse_experiment(fields, "tiny", "a test")


def test_as_many_boxes_fit_into_a_label_as_a_generator_can_be_told() -> None:
    assert MAX_BOXES == MAX_TUMOURS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boxes": [[0, 0, 9, 4]]}, "boxes.0: is not a number from 0 to 8"),
        ({"boxes": [[-1, 0, 3, 4]]}, "boxes.0: is not a number from 0 to 8"),
        ({"boxes": [[0, 0, 3]]}, "boxes.0: is not a list of 4 numbers"),
        ({"boxes": [[0, 0, True, 3]]}, "boxes.0: is not a number"),
        ({"boxes": [[3, 0, 3, 4]]}, "right or lower edge"),
        ({"boxes": [[0, 4, 3, 0]]}, "right or lower edge"),
        ({"boxes": [[0, 0, 3, 4]] * 9}, "boxes: is not a list of at most 8"),
        ({"boxes": "[]"}, "boxes: is not a list"),
        ({"boxes": [[0, 0, float("nan"), 4]]}, "NaN is not a number of JSON"),
        ({"position": 1.01}, "position: is not a number from 0 to 1"),
        ({"position": "0.5"}, "position: is not a number"),
    ],
)
def test_a_label_out_of_bounds_is_damaged_and_names_the_field(change: dict[str, Any], said: str) -> None:
    facts = form_images.facts()
    label = next(iter(form_images.items(facts)))[1]
    assert read_label(label_json(label), 0, facts, "here")["boxes"] == label["boxes"]
    with pytest.raises(DamagedObject, match=said):
        read_label(label_json({**label, **change}), 0, facts, "here")


@pytest.mark.parametrize(
    ("conditions", "change", "said"),
    [
        (("class", "position"), {"boxes": []}, "has boxes, which is none of the conditions"),
        (("class", "tumour"), {"position": 0.5}, "has a position, which is none of the conditions"),
    ],
)
def test_no_label_says_what_the_generator_was_not_told(
    conditions: tuple[str, ...], change: dict[str, Any], said: str
) -> None:
    facts: SetFacts = form_images.facts(conditions=conditions)
    label = {**next(iter(form_images.items(facts)))[1], "boxes": None, "position": None}
    read_label(label_json(label), 0, facts, "here")
    with pytest.raises(DamagedObject, match=said):
        read_label(label_json({**label, **change}), 0, facts, "here")


def column(name: str, *values: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        filled = [values[k % len(values)] for k in range(len(table))]
        at = table.schema.get_field_index(name)
        return table.set_column(at, name, pa.array(filled, table.schema.field(name).type))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (column("boxes", "[[0,0,65,1]]"), "boxes.0: is not a number from 0 to 64"),
        (column("boxes", "[]", "{}"), "boxes: is not a list"),
        (column("boxes", "[" * 9_999), "row 0 has boxes that are not JSON"),
        (column("boxes", None), "has empty fields"),
        (column("position", 0.5, float("inf")), "row 1 has a position that is not from 0 to 1"),
        (column("position", -0.1), "row 0 has a position that is not from 0 to 1"),
        (column("position", None), "has empty fields"),
        (column("boxes", "[]"), "says something else than labels.parquet"),
        (column("position", 0.5), "says something else than labels.parquet"),
    ],
)
def test_a_table_of_labels_out_of_bounds_or_against_the_labels_in_the_tars_is_broken(
    change: Callable[[pa.Table], pa.Table], said: str, boxed: SetFolder
) -> None:
    replace_labels(boxed, change)
    assert said in " ".join(verify_set(boxed.path).broken.values())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("boxes", "[]", "row 0 has boxes, which"), ("position", 0.5, "row 0 has a position, which")],
)
def test_a_table_says_nothing_that_the_generator_was_not_told(
    name: str, value: object, said: str, ready: SetFolder
) -> None:
    changed = replace_labels(ready, column(name, value))
    with pytest.raises(DamagedObject, match=said):
        SetReader(changed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conditions": ["tumour", "position"]}, "set.conditions: is not a list of some of class, position"),
        ({"conditions": ["tumour", "tumour"]}, "set.conditions: is not a list of some of"),
        ({"conditions": ["colour"]}, "set.conditions: is not a list of some of"),
        ({"conditions": "tumour"}, "set.conditions: is not a list"),
        ({"conditions": ["class", "tumour"]}, "set.conditions: says something else than the classes"),
        ({"tumour_fraction": 1.5}, "set.tumour_fraction: is not a number from 0 to 1"),
        ({"conditions": [], "tumour_fraction": 0.5}, "set.tumour_fraction: is given, and tumours are none"),
    ],
)
def test_a_manifest_that_contradicts_itself_about_conditions_is_damaged(
    change: dict[str, Any], said: str, boxed: SetFolder
) -> None:
    manifest = json.loads((boxed.path / "manifest.json").read_bytes())
    manifest["set"] |= change
    with pytest.raises(DamagedObject) as caught:
        parse_set(json.dumps(manifest).encode(), boxed.path, "here")
    assert said in str(caught.value)


def test_a_set_of_the_format_without_positions_is_refused(ready: SetFolder) -> None:
    path = ready.path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 2}))
    with pytest.raises(DamagedObject, match="is of format 2, not 3; publish the set again"):
        read_set_folder(ready.path)


def test_labels_get_into_batches_without_what_cannot_be_stacked(boxed: SetFolder) -> None:
    ((batch, labels),) = DataLoader(open_set(boxed.path), batch_size=IMAGES)
    assert len(batch) == IMAGES
    assert sorted(labels) == ["class", "file", "index", "position", "seed", "sha256"]
    assert labels["position"].isnan().tolist() == [True, False, False, False]


def test_boxes_train_a_detector_of_torchvision(drawn: SetFolder) -> None:
    from torchvision.transforms import v2
    from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat

    def target(label: Any) -> dict[str, torch.Tensor]:
        boxes = torch.tensor(label["boxes"]).reshape(-1, 4)
        size = (64, 64)
        marked = BoundingBoxes(boxes, format=BoundingBoxFormat.XYXY, canvas_size=size)  # type: ignore[call-overload]
        return {"boxes": marked, "labels": torch.ones(len(boxes), dtype=torch.int64)}

    images = open_set(drawn.path, target_transform=target)
    loader = DataLoader(images, batch_size=8, collate_fn=lambda items: tuple(zip(*items, strict=True)))
    for pictures, targets in loader:
        assert len(pictures) == len(targets) == 8
        for image, found in zip(pictures, targets, strict=True):
            flipped, there = v2.RandomHorizontalFlip(1.0)(image, found)
            assert flipped.shape == (1, 64, 64)
            assert torch.equal(there["boxes"][:, 0], 64 - found["boxes"][:, 2])
