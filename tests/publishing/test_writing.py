"""Writing a set: same input, same bytes; the card says what must be said and claims no more."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadInput, DamagedObject, DiskFull
from chestgan_core.evaluation.scoring.metric_rows import FEATURE_MEASURES, RowContext
from chestgan_core.imaging.pictures import to_grey
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing import open_set
from chestgan_core.publishing.loose_images import write_images
from chestgan_core.publishing.reader.set_folder import CARD, SetFolder, read_set_folder
from chestgan_core.publishing.writing import set_writer
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator, load_generator, save_generator


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def measured() -> list[dict[str, object]]:
    """Rows of a metric report as plain data; all measures have the same numbers."""
    rows = RowContext("net:abc:1", (50, 50), "held-out patients: 1 of 6", "", 0).absent("", FEATURE_MEASURES)
    return [{**vars(row), "value": 0.0123, "sd": 0.001, "floor": 0.0031, "floor_n": 40} for row in rows]


def test_the_same_generator_and_seeds_give_the_same_bytes_and_version(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    again = write_set(generator, experiment, 20, 100, tmp_path / "again", provenance)
    assert digests(again.path) == digests(ready.path)
    assert again.version == ready.version
    assert re.fullmatch(r"[0-9a-f]{16}", again.version)


def test_other_seeds_and_another_provenance_are_another_version(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    seeds = write_set(generator, experiment, 20, 101, tmp_path / "seeds", provenance)
    facts = write_set(generator, experiment, 20, 100, tmp_path / "facts", {**provenance, "run": "r2"})
    assert len({ready.version, seeds.version, facts.version}) == 3


def test_image_k_is_the_image_of_seed_k_wherever_the_set_begins(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    later = write_set(generator, experiment, 3, 117, tmp_path / "later", provenance)
    rows, later_rows = (pq.read_table(one.path / "labels.parquet").to_pylist() for one in (ready, later))
    assert [row["sha256"] for row in rows[17:]] == [row["sha256"] for row in later_rows]
    assert [row["seed"] for row in later_rows] == [117, 118, 119]


def test_the_labels_and_the_card_say_which_class_each_image_was_to_show(
    experiment: Experiment, tmp_path: Path, provenance: dict[str, str]
) -> None:
    conditional = experiment.model_copy(update={"classes": ("A", "B", "G")})
    save_generator(tmp_path, build_generator(conditional), conditional)
    made = write_set(load_generator(tmp_path), conditional, 10, 100, tmp_path / "set", provenance)
    rows = pq.read_table(made.path / "labels.parquet").to_pylist()
    assert [row["class"] for row in rows] == list("BGABGABGAB")
    assert made.facts.images_per_class == {"A": 3, "B": 4, "G": 3}
    assert open_set(made.path)[2][1] == {"index": 2, "seed": 102, "class": "A", "file": "000002.png"}
    card = (made.path / CARD).read_text(encoding="utf-8")
    assert (
        "| classes | adenocarcinoma (`A`) 3, small cell carcinoma (`B`) 4, squamous cell carcinoma (`G`) 3;"
        in card
    )


def test_images_are_8_bit_grey_without_metadata_and_tar_entries_name_no_one(
    ready: SetFolder, generator: LoadedGenerator
) -> None:
    expected = to_grey(generate(generator, range(100, 120)))
    with tarfile.open(ready.path / "images-0000.tar") as archive:
        for index, entry in enumerate(archive.getmembers()):
            assert (entry.name, entry.mtime, entry.uid, entry.gid) == (f"{index:06d}.png", 0, 0, 0)
            assert (entry.uname, entry.gname) == ("", "")
            file = archive.extractfile(entry)
            assert file is not None
            data = file.read()
            assert set(re.findall(rb"IHDR|IDAT|IEND|tEXt|iTXt|zTXt|tIME|pHYs|eXIf|gAMA", data)) == {
                b"IHDR",
                b"IDAT",
                b"IEND",
            }
            image = Image.open(io.BytesIO(data))
            assert image.mode == "L"
            assert np.array_equal(np.array(image), expected[index])


def test_a_large_set_is_cut_into_several_tars(
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    provenance: dict[str, str],
) -> None:
    monkeypatch.setattr(set_writer, "IMAGES_PER_TAR", 8)
    cut = write_set(generator, experiment, 20, 0, tmp_path, provenance)
    rows = pq.read_table(tmp_path / "labels.parquet").to_pylist()
    assert [row["tar"] for row in rows] == ["images-0000.tar"] * 8 + ["images-0001.tar"] * 8 + [
        "images-0002.tar"
    ] * 4
    assert len(cut.objects) == 3 + len({"labels.parquet", "README.md", "samples.png"})


def test_the_card_names_source_window_seeds_model_and_limits(ready: SetFolder) -> None:
    card = " ".join((ready.path / "README.md").read_text(encoding="utf-8").split())
    for said in (
        "generated phantom images",
        "-1350 to 150 HU",
        "Values outside the window are clipped",
        "100 to 119",
        ready.facts.model_sha256,
        "chestgan sets fetch tiny",
        'open_set("tiny")',
        "none is a scan of a person",
        "Not for diagnosis",
        "it cannot be ruled out that information about training patients can be recovered",
        "None were measured for this set.",
    ):
        assert said in card


def test_the_card_never_claims_privacy(ready: SetFolder) -> None:
    card = (ready.path / "README.md").read_text(encoding="utf-8").lower()
    for claim in (
        "privacy",
        "anonym",
        "de-identif",
        "deidentif",
        "no patient data",
        "gdpr",
        "hipaa",
        "ct data",
    ):
        assert claim not in card


def test_the_card_shows_metrics_with_their_floor_and_says_when_there_are_few_images(
    generator: LoadedGenerator, experiment: Experiment, tmp_path: Path, provenance: dict[str, str]
) -> None:
    metrics = {"rows": measured(), "patients_real": 1, "image_kind": "real"}
    write_set(generator, experiment, 2, 0, tmp_path, {**provenance, "metrics": metrics})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| measure | value | real against real |" in card
    assert "| KID (lower is better) | 12.3 ± 1.0 x 1000 | 3.1 x 1000 | 50, 50, 40 | net:abc:1 |" in card
    assert "held-out patients: 1 of 6" in card
    assert "- Few images: 50 on each side. All numbers are coarse" in card
    assert "- Few patients: the real side has 1 patient(s)." in card


def test_the_card_of_a_set_trained_on_phantoms_calls_them_neither_real_nor_ct_data(
    generator: LoadedGenerator, experiment: Experiment, tmp_path: Path, provenance: dict[str, str]
) -> None:
    without_floor = [{**row, "floor": None, "floor_n": 0, "floor_note": "no floor"} for row in measured()]
    for name, rows in (("floor", measured()), ("none", without_floor)):
        metrics = {"rows": rows, "patients_real": 1, "image_kind": "phantom"}
        write_set(generator, experiment, 2, 0, tmp_path / name, {**provenance, "metrics": metrics})
        card = (tmp_path / name / "README.md").read_text(encoding="utf-8")
        for claim in ("real patients", "real images", "CT data"):
            assert claim not in card
        assert not re.search(r"\breal\b", card, re.IGNORECASE)
        assert "| measure | value | phantom against phantom | n phantom, synthetic, floor |" in card
        assert "between two groups of phantom patients" in card
        assert "- Few patients: the phantom side has 1 patient(s)." in card


def test_a_folder_without_a_manifest_is_not_a_set_and_a_foreign_one_is_refused(
    ready: SetFolder, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="not a complete set"):
        read_set_folder(tmp_path)
    manifest = json.loads((ready.path / "manifest.json").read_text(encoding="utf-8"))
    del manifest["set"]["name"]
    (ready.path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(DamagedObject, match="not the manifest of a synthetic set"):
        read_set_folder(ready.path)


def test_rewriting_a_folder_first_takes_its_manifest_away(
    ready: SetFolder, generator: LoadedGenerator, experiment: Experiment
) -> None:
    with pytest.raises(KeyError):
        write_set(generator, experiment, 20, 100, ready.path, {})
    assert not (ready.path / "manifest.json").exists()


def test_plain_images_come_as_hounsfield_units_in_one_file_or_as_pictures(
    generator: LoadedGenerator, experiment: Experiment, tmp_path: Path
) -> None:
    written = write_images(generator, range(5, 8), tmp_path / "out" / "some.safetensors")
    write_images(generator, range(5, 8), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "out" / "some.safetensors"
    ).read_bytes()
    with safe_open(tmp_path / "out" / "some.safetensors", framework="np") as file:
        slices = file.get_tensor("slices")
    images = generate(generator, range(5, 8))
    assert (slices.dtype, slices.shape) == (np.int16, (3, 64, 64))
    assert np.array_equal(slices, experiment.display_window.from_unit(images)[:, 0].numpy())
    assert (written["images"], written["first_seed"]) == (3, 5)
    write_images(generator, range(5, 8), tmp_path / "pictures")
    assert [path.name for path in sorted((tmp_path / "pictures").glob("[!.]*"))] == [
        f"seed-{seed:06d}.png" for seed in (5, 6, 7)
    ]
    with pytest.raises(BadInput, match="neither"):
        write_images(generator, range(5, 8), tmp_path / "some.zip")


def test_a_file_of_slices_is_the_one_that_safetensors_writes(
    generator: LoadedGenerator, tmp_path: Path
) -> None:
    write_images(generator, range(7), tmp_path / "some.safetensors")
    with safe_open(tmp_path / "some.safetensors", framework="np") as file:
        again = save({"slices": file.get_tensor("slices")}, file.metadata())
    assert (tmp_path / "some.safetensors").read_bytes() == again


@pytest.mark.parametrize("out", ["many.safetensors", "many"])
def test_more_images_than_fit_on_the_disk_are_refused_before_the_first(
    out: str, generator: LoadedGenerator, tmp_path: Path
) -> None:
    with pytest.raises(DiskFull, match=r"the disk has .* GB free, \d+\.\d+ GB are needed; .*smaller --count"):
        write_images(generator, range(3_000_000_000), tmp_path / out)
    assert list(tmp_path.iterdir()) == []


def test_seeds_out_of_range_are_refused_before_the_first_image(
    generator: LoadedGenerator, tmp_path: Path
) -> None:
    for seeds in (range(2**32 - 1, 2**32 + 1), range(-1, 3)):
        with pytest.raises(BadInput, match="is out of range"):
            write_images(generator, seeds, tmp_path / "some.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_not_replaced_by_images(generator: LoadedGenerator, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(save({"w": np.zeros(3)}))
    with pytest.raises(BadInput, match="is there, and holds no slices"):
        write_images(generator, range(2), tmp_path / "weights.safetensors")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "seed-000000.png").write_text("mine")
    with pytest.raises(BadInput, match="holds files that are not of images"):
        write_images(generator, range(2), tmp_path / "mine")
    write_images(generator, range(2), tmp_path / "some.safetensors")
    write_images(generator, range(4), tmp_path / "some.safetensors")
    assert len(load_file(tmp_path / "some.safetensors")["slices"]) == 4


def test_the_set_states_what_the_generator_was_trained_as_not_what_the_experiment_says_now(
    ready: SetFolder, generator: LoadedGenerator, tmp_path: Path, provenance: dict[str, str]
) -> None:
    edited = parse_experiment(
        {
            "dataset": "phantom",
            "window": "wide",
            "resolution": 32,
            "network": {"latent_dim": 9},
            "training": {"images": 100},
        },
        "tiny",
        "a test",
    )
    written = write_set(generator, edited, 20, 100, tmp_path / "edited", provenance)
    assert written.facts == ready.facts
    assert digests(written.path) == digests(ready.path)
