"""Sources: each is found by the name of its folder, and one file adds another, as docs/extend.md shows."""

import inspect
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import chestgan_core.sources
from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.names import dataset_files
from chestgan_core.config.source_config import SourceConfig, provider, source_kinds
from chestgan_core.errors import BadInput
from chestgan_core.sources.archive.raw_archive import fetch_archive
from chestgan_core.sources.source import Source, open_source
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.standins import Fault, Faults, StandInCollection, StandInServer
from tests.standins.server import Answer

FOLDER = Path(chestgan_core.sources.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "extend.md"


def test_every_folder_with_a_module_source_is_a_source() -> None:
    assert source_kinds() == ("folder", "idc", "images", "nbia", "phantom")
    assert {FOLDER / kind / "source.py" for kind in source_kinds()} == set(FOLDER.glob("*/source.py"))


@pytest.mark.parametrize("kind", source_kinds())
def test_the_kind_of_a_source_is_the_name_of_its_folder(kind: str) -> None:
    config = provider(kind).CONFIG
    assert issubclass(config, SourceConfig)
    assert config.model_fields["kind"].annotation.__args__ == (kind,)


@pytest.mark.parametrize("name", dataset_files())
def test_the_source_of_every_shipped_dataset_has_the_protocol_and_opens_without_reading(
    name: str, tmp_path: Path
) -> None:
    source = open_source(dataset_named(name), tmp_path / "home")
    assert isinstance(source, Source)
    assert isinstance(source.remote, bool)
    for method in ("list_series", "series_files"):
        signatures = [inspect.signature(getattr(one, method)) for one in (Source, type(source))]
        assert signatures[0] == signatures[1]
    assert not (tmp_path / "home").exists()


def test_an_unknown_kind_of_source_is_answered_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path))
    (tmp_path / "lungs.yaml").write_text(
        "{title: lungs, image_kind: real, licence: none, private: false, slice_size: 64,\n"
        " source: {kind: nbai, collection: Lungs}}\n"
    )
    with pytest.raises(BadInput, match=r"line 2: source: 'nbai' is not a valid value, did you mean nbia\?"):
        dataset_named("lungs")


def block(title: str) -> str:
    """The block of docs/extend.md with this title."""
    found = re.search(rf'```\w+ title="{re.escape(title)}"\n(.*?)```', PAGE.read_text("utf-8"), re.DOTALL)
    assert found, f"no block with the title {title}"
    return found[1]


ARCHIVE = """
import sys
from pathlib import Path
import chestgan_core.sources
chestgan_core.sources.__path__.append(sys.argv[1])
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.store import Store
store, home = Store.open(sys.argv[2]), Path(sys.argv[3])
(patient,) = catalog_series(store, "web_lungs", home)[0].patients
done = archive_patient(store, "web_lungs", patient, home)
print(patient, done.files, archive_patient(store, "web_lungs", patient, home).reused)
"""


def test_the_source_in_the_docs_archives_a_patient_from_one_file(
    tmp_path: Path, collection: StandInCollection, datasets: Path, embedded: EmbeddedStore, store: Store
) -> None:
    (series,) = collection.chest_series()
    files = {path.name: path.read_bytes() for path in series.files}
    listed = {"patient": series.patient, "series": series.uid, "revision": 1, "files": sorted(files)}
    served = {**files, "index.json": json.dumps([listed]).encode()}

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        name = path.removeprefix("/")
        return Answer(200, {}, iter([served[name]]), len(served[name]), series=name)

    faults = Faults({"index.json": [Fault.BUSY], min(files): [Fault.TRUNCATED, Fault.RESET]})
    (tmp_path / "sources" / "web").mkdir(parents=True)
    (tmp_path / "sources" / "web" / "source.py").write_text(block("chestgan_core/sources/web/source.py"))
    with StandInServer(answer, faults) as server:
        dataset = block("datasets/web_lungs.yaml").replace("http://127.0.0.1:8000", server.url)
        (datasets / "web_lungs.yaml").write_text(dataset)
        ran = subprocess.run(
            [sys.executable, "-c", ARCHIVE, tmp_path / "sources", store.uri(), tmp_path / "home"],
            env={**os.environ, **embedded.environment},
            capture_output=True,
            text=True,
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == [series.patient, "12", "True"]
    assert faults.seen.total() == 3
    (path,) = fetch_archive(store, "web_lungs", series.patient, tmp_path / "got").zips
    with zipfile.ZipFile(path) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [files[name] for name in sorted(files)]
