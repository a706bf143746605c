"""croissant.json: valid for mlcroissant, and the records that it describes are the images and labels of the set."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.publishing import open_set
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.writing.documents import DOCUMENTS
from tests.publishing.boxed_sets import asking_experiment, asking_generator, write_boxed_set
from tests.publishing.card_facts import gathered

# As a stranger reads it, in a process of its own: the place of the cache is read when mlcroissant is imported.
READ = """
import hashlib, json, sys
import mlcroissant
found = mlcroissant.Dataset(sys.argv[1])
metadata, text = found.metadata, lambda value: value.decode() if isinstance(value, bytes) else value
print(json.dumps({
    "errors": sorted(metadata.ctx.issues.errors),
    "warnings": sorted(metadata.ctx.issues.warnings),
    "version": metadata.ctx.conforms_to.value,
    "license": metadata.license,
    "limits": metadata.data_limitations,
    "sensitive": metadata.personal_sensitive_information,
    "use": metadata.data_use_cases,
    "biases": metadata.data_biases,
    "collection": metadata.data_collection,
    "labels": [{name.split("/")[1]: text(value) for name, value in row.items()} for row in found.records("labels")],
    "images": [
        {name.split("/")[1]: hashlib.sha256(value.tobytes()).hexdigest() if hasattr(value, "tobytes") else text(value)
         for name, value in row.items()}
        for row in found.records("images")
    ],
}))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SetFolder:
    """A set of ten images of three classes, asked for positions and tumours, with all that a release knows."""
    folder = tmp_path_factory.mktemp("croissant")
    generator = asking_generator(folder, asking_experiment(("A", "B", "G")))
    return write_boxed_set(generator, folder / "set", gathered(), images=10)


@pytest.fixture(scope="module")
def read(made: SetFolder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What mlcroissant reads in the folder of the set."""
    pytest.importorskip("mlcroissant")
    cache = {"CROISSANT_CACHE": str(tmp_path_factory.mktemp("cache"))}
    command = [sys.executable, "-c", READ, str(made.path / "croissant.json")]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **cache}, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_mlcroissant_finds_no_error_and_misses_only_what_a_content_hash_cannot_have(
    read: dict[str, Any],
) -> None:
    assert read["errors"] == []
    assert read["version"] == "http://mlcommons.org/croissant/1.1"
    # A date would change the set each time it is written; its version is a hash over this file, too.
    assert [line.split('"')[1] for line in read["warnings"]] == [
        "https://schema.org/datePublished",
        "https://schema.org/version",
    ]


def test_the_records_are_the_images_with_their_labels(read: dict[str, Any], made: SetFolder) -> None:
    images = open_set(made.path)
    assert len(read["images"]) == len(read["labels"]) == 10
    for k, (image, label) in enumerate(zip(read["images"], read["labels"], strict=True)):
        said = images.label(k)
        expected = {"index": k, "seed": said["seed"], "class": said["class"], "file": said["file"]}
        for found in (image, label):
            assert found.pop("position") == said["position"]
            assert json.loads(found.pop("boxes")) == said["boxes"]
        assert image == {**expected, "image": said["sha256"]}
        assert label == {**expected, "tar": "images-0000.tar", "sha256": said["sha256"]}
    assert {label["class"] for label in read["labels"]} == {"A", "B", "G"}


def test_the_rai_fields_say_limits_uses_and_what_is_not_known(read: dict[str, Any]) -> None:
    assert any("clipped" in line for line in read["limits"])
    assert any("Release gate: " in line for line in read["limits"])
    assert any("Dates in the files are shifted." in line for line in read["biases"])
    assert any(line.startswith("Not intended: Diagnosis") for line in read["use"])
    assert any("cannot be ruled out" in line for line in read["sensitive"])
    assert "nothing was collected" in read["collection"]
    assert read["license"] == ["https://creativecommons.org/licenses/by/4.0/"]


def test_the_provenance_leads_from_the_images_to_the_generator_to_the_source(made: SetFolder) -> None:
    found = json.loads((made.path / "croissant.json").read_text(encoding="utf-8"))
    generation = found["prov:wasGeneratedBy"]
    generator = generation["prov:used"]
    assert generator["@id"] == f"urn:sha256:{made.facts.model_sha256}"
    training = generator["prov:wasGeneratedBy"]
    assert training["@id"] == "urn:chestgan:run:18e14cfabff4c212"
    assert (
        training["prov:used"]["@id"]
        == found["prov:wasDerivedFrom"]["@id"]
        == "https://doi.org/10.7937/CHESTS"
    )
    assert found["@context"]["prov"] == "http://www.w3.org/ns/prov#"


def test_every_file_but_the_documents_is_listed_with_its_size_and_sha256(made: SetFolder) -> None:
    found = json.loads((made.path / "croissant.json").read_text(encoding="utf-8"))
    listed = {one["name"]: one for one in found["distribution"] if one["@type"] == "cr:FileObject"}
    assert listed.keys() == {made.name(item) for item in made.objects} - set(DOCUMENTS)
    for name, one in listed.items():
        data = Path(made.path / name).read_bytes()
        assert (one["sha256"], one["contentSize"]) == (hashlib.sha256(data).hexdigest(), f"{len(data)} B")
