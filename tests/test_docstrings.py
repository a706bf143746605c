"""The examples in the docstrings of what users call from Python give what they show."""

import doctest
from pathlib import Path

import pytest

from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.experiment import load_experiment
from chestgan_core.dicom.hounsfield import to_hounsfield
from chestgan_core.dicom.series import read_series
from chestgan_core.imaging.windows import Window
from chestgan_core.store.embedded import EmbeddedStore, open_store
from chestgan_core.store.store import Store
from tests.dicom.ct_files import write_series


@pytest.mark.parametrize(
    "documented",
    [Window, to_hounsfield, read_series, load_experiment, dataset_named, Store, open_store],
    ids=lambda documented: documented.__name__,
)
def test_an_example_gives_what_it_shows(
    documented: object, embedded: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "collection", count=40)
    (tmp_path / "collection" / "LICENCE").write_text("CC BY 4.0")
    name = documented.__name__  # type: ignore[attr-defined]
    found = doctest.DocTestFinder(recurse=False).find(documented, name, globs={})
    said: list[str] = []
    [results] = [doctest.DocTestRunner().run(one, out=said.append) for one in found]
    assert results.attempted > 0
    assert results.failed == 0, "".join(said)
