"""The numbers of a card, computed again by a stranger: same slices, same numbers, and an honest word where not."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest

from chestgan_core.cli.main import main
from chestgan_core.errors import BadInput, DamagedObject, SourceUnreachable
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.publishing.reader.set_folder import MANIFEST, SetFolder, read_set_folder
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.reproducing.providers import provider_of
from chestgan_core.publishing.reproducing.real_images import real_sides
from chestgan_core.publishing.reproducing.reproduce import (
    DIFFERS,
    NOT_RECOMPUTED,
    REPRODUCED,
    Reproduction,
    reproduce,
)
from chestgan_core.publishing.reproducing.series import MISSING, OTHER_PIXELS, fetch_shards
from chestgan_core.publishing.split.counts import split_counts
from chestgan_core.publishing.split.table import SPLIT, read_split, split_csv
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.writing.provenance import FILE
from chestgan_core.slices.training_set import TrainingSet
from chestgan_core.store.artefacts import canonical_json, sha256_of
from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.run import train_experiment
from tests.pipeline.stages import edited
from tests.publishing.real_sides import (
    as_a_report_loads_them,
    files_below,
    prepared,
    published,
    require_the_same,
)
from tests.standins.collection import StandInCollection
from tests.standins.faults import Fault, Faults
from tests.standins.idc import idc_stand_in, listing_of


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of five small patients, which nobody changes."""
    folder = tmp_path_factory.mktemp("phantoms")
    StandInCollection(folder, patients=5, slices=16, size=64)
    return folder


@dataclass(frozen=True)
class Published:
    """A set on a collection behind a stand-in server, as its maker and as a stranger have it."""

    store: Store
    training_set: TrainingSet
    folder: SetFolder
    collection: StandInCollection
    url: str
    home: Path

    def reproduce(self, work: Path, folder: SetFolder | None = None) -> Reproduction:
        return reproduce(folder or self.folder, work, self.home, endpoint=self.url)


@pytest.fixture(scope="module")
def ours(
    phantoms: Path, embedded: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    """The chain from a stand-in of the Imaging Data Commons to a published and fetched set."""
    folder = tmp_path_factory.mktemp("published")
    store = Store(s3_client(embedded.access), BUCKET, folder.name)
    collection = StandInCollection.of_files(folder / "collection", files_below(phantoms))
    with idc_stand_in(collection, embedded) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHESTGAN_DATASETS", str(folder / "datasets"))
        collection.write_idc_dataset(folder / "datasets", "stand_in", server.url)
        experiment = edited(
            dataset="stand_in", evaluation={"images": 16, "others": []}, publication={"images": 16}
        )
        training_set = prepared(store, "stand_in", folder / "home")
        train_experiment(store, experiment, "cpu", folder / "train")
        report_experiment(store, experiment, "cpu", folder / "report")
        release_experiment(store, experiment, "cpu", folder / "release")
        fetched = fetch_set(store, experiment.name, None, folder / "set")
        yield Published(store, training_set, fetched, collection, server.url, folder / "nobody")


def test_slices_fetched_again_from_idc_are_those_of_the_report_bit_for_bit_and_in_its_order(
    ours: Published, tmp_path: Path
) -> None:
    rows, instructions, facts = published(ours.store, ours.training_set, tmp_path)
    assert read_split(ours.folder.path / SPLIT) == rows
    assert ours.url not in split_csv(rows).decode() + json.dumps(instructions.as_json())
    provider = provider_of(instructions, tmp_path / "work", ours.home, None, ours.url)
    assert not isinstance(provider, str)
    shards, missing = fetch_shards(rows, instructions, provider, tmp_path / "work")
    assert not missing
    sides, problems = real_sides(rows, shards, provider, facts)
    assert not problems
    require_the_same(sides, as_a_report_loads_them(ours.store, ours.training_set, tmp_path / "report"))

    # What is published adds up to what the training set says.
    counts = split_counts(rows).sides
    assert {side: one.slices for side, one in counts.items()} == ours.training_set.manifest["slices"]
    assert {side: one.patients for side, one in counts.items()} == ours.training_set.manifest["patients"]
    assert {(row.source, row.licence, row.doi) for row in rows} == {("idc", "CC BY 4.0", "10.0000/stand-in")}
    assert all(row.location.startswith("s3://idc-stand-in/") and row.revision in row.location for row in rows)
    assert not list((tmp_path / "work").rglob("*.zip"))  # nothing of a finished patient stays but its shard

    # A second run asks no server.
    nobody = provider_of(instructions, tmp_path / "work", ours.home, None, "http://127.0.0.1:9")
    assert not isinstance(nobody, str)
    assert fetch_shards(rows, instructions, nobody, tmp_path / "work") == (shards, [])


def test_a_stranger_recomputes_every_number_of_the_card(
    ours: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sets", "reproduce", str(ours.folder.path), "--work", str(tmp_path / "work"), "--json"]
    status = main([*command, "--endpoint", ours.url, "--device", "cpu"])
    done = json.loads(capsys.readouterr().out)
    assert status == done["exit_status"] == REPRODUCED
    # The images were scored in the levels in which they are published, so nothing moves.
    assert {one["verdict"] for one in done["numbers"]} == {"equal"}
    card = json.loads((ours.folder.path / FILE).read_bytes())["provenance"]["metrics"]["rows"]
    numbers = [row[part] for row in card for part in ("value", "floor") if row[part] is not None]
    assert [number["card"] for number in done["numbers"]] == numbers
    assert [number["again"] for number in done["numbers"]] == pytest.approx(numbers, abs=1e-6)
    assert done["slices"]["scored"] == done["slices"]["published"] > 50
    assert not done["problems"]


def resealed(ours: Published, to: Path, change: Callable[[dict[str, Any]], None]) -> SetFolder:
    """The set with another provenance, under a manifest that fits: as a publisher could have made it."""
    shutil.copytree(ours.folder.path, to)
    provenance = json.loads((to / FILE).read_bytes())
    change(provenance["provenance"])
    data = canonical_json(provenance)
    (to / FILE).write_bytes(data)
    manifest = json.loads((to / MANIFEST).read_bytes())
    for item in manifest["objects"]:
        if item["key"].endswith(f"/{FILE}"):
            item |= {"bytes": len(data), "sha256": sha256_of(data)}
    (to / MANIFEST).write_bytes(canonical_json(manifest))
    return read_set_folder(to)


def better_kid(provenance: dict[str, Any]) -> None:
    row = next(row for row in provenance["metrics"]["rows"] if row["measure"] == "KID")
    width = row["high"] - row["low"]
    for name in ("value", "low", "high"):
        row[name] -= 2 * width
    # Of other images than the others, by another instrument.
    placed = {"measure": "placement", "group": "tumour", "extractor": "tumour-detector", "value": 0.7}
    provenance["metrics"]["rows"].append({**row, **placed, "n_fake": 11, "seed": 7, "low": 0.6, "high": 0.8})


@pytest.mark.slow
def test_a_card_with_a_better_number_than_the_images_have_differs(ours: Published, tmp_path: Path) -> None:
    done = ours.reproduce(tmp_path / "work", resealed(ours, tmp_path / "set", better_kid))
    assert done.exit_status == DIFFERS
    assert [(one.measure, one.part) for one in done.numbers if one.verdict == "differs"] == [("KID", "value")]
    # What was asked of the images is not computed again, and never counts as good.
    [placement] = [one for one in done.numbers if (one.measure, one.part) == ("placement", "value")]
    assert (placement.verdict, placement.again) == ("not recomputed", None)
    assert (
        "measures of tumours and of synthetic patients, and attacks, are not computed again" in placement.why
    )


def test_a_card_that_was_changed_after_publication_is_refused(ours: Published, tmp_path: Path) -> None:
    shutil.copytree(ours.folder.path, tmp_path / "set")
    text = (tmp_path / "set" / FILE).read_text()
    (tmp_path / "set" / FILE).write_text(text.replace("KID", "FID", 1))
    with pytest.raises(DamagedObject, match=FILE):
        ours.reproduce(tmp_path / "work", read_set_folder(tmp_path / "set"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it["reproduction"].update(format=2), "newer version; upgrade"),
        (lambda it: it.update(reproduction={}), "published by an older version"),
        (lambda it: it["reproduction"]["recipe"].update(version="0" * 16), "install the version that the card names"),
        (lambda it: it.update(metrics=None), "nothing was measured"),
    ],
)  # fmt: skip
def test_a_set_whose_instructions_this_version_cannot_follow_is_refused_before_anything_is_fetched(
    ours: Published, tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    with pytest.raises(BadInput) as refused:
        reproduce(resealed(ours, tmp_path / "set", change), tmp_path / "work", ours.home)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: [row.update(n_fake=4000) for row in it["metrics"]["rows"]], "is about 4000 images"),
        (lambda it: [row.update(n_fake=-1) for row in it["metrics"]["rows"]], "which no report is"),
        (lambda it: it["metrics"]["provenance"].update(seeds="7 to 30"), "the seeds 7 to 30"),
        (lambda it: it["metrics"]["provenance"].update({"bits of a pixel": "16"}), "images of 16 bits"),
        (lambda it: it["reproduction"].update(private=True), "its dataset is private"),
        (lambda it: it["reproduction"].update(source="folder"), "nobody else can fetch"),
    ],
)
def test_what_cannot_be_recomputed_says_why_and_never_counts_as_good(
    ours: Published, tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    done = reproduce(resealed(ours, tmp_path / "set", change), tmp_path / "work", ours.home)
    assert done.exit_status == NOT_RECOMPUTED
    assert {one.verdict for one in done.numbers} == {"not recomputed"}
    assert all(says in one.why for one in done.numbers)
    assert done.slices[0] == 0


@pytest.mark.slow
def test_where_a_set_holds_its_generator_the_images_that_were_scored_are_made_again_and_nothing_moves(
    ours: Published, tmp_path: Path
) -> None:
    experiment = edited(
        dataset="stand_in",
        evaluation={"images": 16, "others": []},
        publication={"images": 8, "weights": True},
    )
    release_experiment(ours.store, experiment, "cpu", tmp_path / "release")
    done = ours.reproduce(tmp_path / "work", fetch_set(ours.store, "tiny", None, tmp_path / "set"))
    assert done.exit_status == REPRODUCED
    assert {one.verdict for one in done.numbers} == {"equal"}


@pytest.mark.slow
def test_another_extractor_is_not_taken_for_the_one_of_the_card(ours: Published, tmp_path: Path) -> None:
    def other(provenance: dict[str, Any]) -> None:
        for row in provenance["metrics"]["rows"]:
            row["extractor"] = row["extractor"].replace("efficientnet-lite0:", "efficientnet-lite0:ff")

    done = ours.reproduce(tmp_path / "work", resealed(ours, tmp_path / "set", other))
    assert done.exit_status == NOT_RECOMPUTED
    by_pixels = {one.verdict for one in done.numbers if one.extractor == "pixels"}
    assert by_pixels <= {"equal", "within the interval"}
    others = [one for one in done.numbers if one.extractor != "pixels"]
    assert others
    assert all(one.verdict == "not recomputed" and "the extractor here is" in one.why for one in others)


@pytest.mark.slow
def test_a_series_that_the_source_has_replaced_or_removed_is_named_and_the_numbers_are_not_the_same_patients(
    ours: Published, embedded: EmbeddedStore, tmp_path: Path
) -> None:
    rows = read_split(ours.folder.path / SPLIT)
    chosen = next(row for row in rows if row.side == "held-out")
    series = next(one for one in ours.collection.series if one.uid == chosen.series)
    bucket, client = ours.collection.bucket, embedded.store().client
    whole = series.objects()
    try:
        for key, path in whole:
            head = pydicom.dcmread(path)
            head.PixelData = head.pixel_array[::-1].copy().tobytes()  # the same files, upside down
            head.save_as(tmp_path / path.name)
            client.put_object(Bucket=bucket, Key=key, Body=(tmp_path / path.name).read_bytes())
        done = ours.reproduce(tmp_path / "replaced")
        assert [(one.series, one.kind) for one in done.problems] == [(chosen.series, OTHER_PIXELS)]
        assert done.exit_status == NOT_RECOMPUTED
        assert "1 of 5 series of the split are not as published" in done.numbers[0].why

        for key, _ in whole:
            client.delete_object(Bucket=bucket, Key=key)
        done = ours.reproduce(tmp_path / "removed")
        assert [(one.series, one.kind) for one in done.problems] == [(chosen.series, MISSING)]
        assert {one.verdict for one in done.numbers} == {"not recomputed"}
        assert done.exit_status == NOT_RECOMPUTED
        assert done.patients == (4, 5)
        assert done.numbers[0].again is not None  # shown, but not as the card's
    finally:
        for key, path in whole:
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


@pytest.mark.slow
def test_a_run_that_lost_its_server_half_way_goes_on_with_the_patients_that_are_left(
    ours: Published, embedded: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "1")
    rows = read_split(ours.folder.path / SPLIT)
    last = sorted({row.patient for row in rows if row.side == "held-out"})[-1]
    series = next(row.series for row in rows if row.patient == last)
    busy = Faults(always={listing_of(series): Fault.FAILED})
    with idc_stand_in(ours.collection, embedded, busy) as server, pytest.raises(SourceUnreachable):
        reproduce(ours.folder, tmp_path / "work", ours.home, endpoint=server.url)
    done = {path.name.rpartition("-")[0] for path in (tmp_path / "work" / "shards").glob("*.safetensors")}
    assert done == {row.patient for row in rows} - {last}
    with idc_stand_in(ours.collection, embedded) as server:
        finished = reproduce(ours.folder, tmp_path / "work", ours.home, endpoint=server.url)
        asked = "\n".join(map(str, server.log))
    assert finished.exit_status == REPRODUCED
    folders = {row.patient: row.location.rstrip("/").rpartition("/")[2] for row in rows}
    assert folders[last] in asked
    assert not any(name in asked for patient, name in folders.items() if patient != last)
