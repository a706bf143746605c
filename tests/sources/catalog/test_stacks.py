"""Series that hold several scans: each is a row of the catalog, an archive and a stack of slices by itself."""

from pathlib import Path

import pytest
import yaml

from chestgan_core.config.dataset import SeriesRules, dataset_named
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import read_series, without_stacks
from chestgan_core.slices.newest_slices import recipe_of
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.series_selection import stack_problem, stack_rules
from chestgan_core.sources.catalog.stored_catalog import catalog_series, read_catalog
from chestgan_core.sources.catalog.table import as_text
from chestgan_core.store.store import Store
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

FIELDS = {
    "title": "own",
    "image_kind": "phantom",
    "licence": "own",
    "source": {"kind": "folder", "path_variable": "OWN_FOLDER"},
    "private": False,
    "slice_size": 32,
}
HU = chest_hu(64)


def write(folder: Path, names: str = "abc") -> Path:
    """One series: an axial scout, three slices for soft tissue and three for the lung, half a step higher."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = (("Topogram 0.6", "B30f", 1, 200.0), ("Chest", "B30f", 3, 0.0), ("Chest", "B70f", 3, 1.5))
    for name, (description, kernel, count, low) in zip(names, kinds, strict=True):
        for at in range(count):
            data = ct_slice(
                HU,
                z=low + 3 * at,
                SeriesDescription=description,
                ConvolutionKernel=kernel,
                PixelSpacing=[5.6, 5.6],
                PatientIdentityRemoved="YES",
            )
            (folder / f"{name}{at}").write_bytes(as_bytes(data))
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the dataset `own` names; its rules exclude scouts."""
    datasets = tmp_path / "datasets"
    datasets.mkdir()
    monkeypatch.setenv("CHESTGAN_DATASETS", str(datasets))
    monkeypatch.setenv("OWN_FOLDER", str(tmp_path / "in"))
    selection = {"exclude_description": ["topogram"], "kernel": "soft"}
    (datasets / "own.yaml").write_text(yaml.safe_dump({**FIELDS, "selection": selection}))
    return tmp_path / "in"


@pytest.mark.parametrize("names", ["abc", "cba"])
def test_each_scan_of_a_series_is_judged_and_archived_by_itself(
    store: Store, tmp_path: Path, own: Path, names: str
) -> None:
    write(own, names)
    catalog, _ = catalog_series(store, "own", tmp_path / "home")
    assert read_catalog(store, "own") == catalog
    statuses = {(row.description, row.kernel, row.images): row.status for row in catalog.rows}
    assert statuses == {
        ("Topogram 0.6", "B30f", 1): "excluded-description",
        ("Chest", "B30f", 3): "selected",
        ("Chest", "B70f", 3): "other-kernel",
    }
    assert {row.series for row in catalog.rows} == {"2.25.1"}
    assert len({row.key for row in catalog.rows}) == 3
    assert "several-stacks" in as_text("own", catalog)
    archived = archive_patient(store, "own", "PH-A0001", tmp_path / "home")
    assert (archived.series, archived.files, archived.expected) == (1, 3, 3)
    slices = normalize_patient(store, "own", "PH-A0001", tmp_path / "home")
    assert (slices.report.kept, slices.report.left_out) == (3, {})


def test_a_fetched_series_with_several_scans_is_judged_scan_by_scan(tmp_path: Path) -> None:
    reading = read_series([write(tmp_path / "in")])
    rules = SeriesRules(exclude_description=("topogram",), kernel="soft")
    kept = without_stacks(reading, lambda series: stack_problem(series, rules))
    assert [(series.kernel, series.description) for series in kept.series] == [("B30f", "Chest")]
    assert kept.left_out == {LeftOut.NOT_SELECTED: 4}
    assert {cause.files for cause in kept.causes} == {1, 3}
    assert all(cause.cause for cause in kept.causes)


def test_a_series_of_one_scan_was_judged_before_and_stays(tmp_path: Path) -> None:
    write(tmp_path / "in")
    for file in (tmp_path / "in").glob("[ab]*"):
        file.unlink()
    reading = read_series([tmp_path / "in"])
    rules = SeriesRules(kernel="soft")
    assert without_stacks(reading, lambda series: stack_problem(series, rules)).series == reading.series


def test_other_rules_for_stacks_are_another_recipe(own: Path, tmp_path: Path) -> None:
    dataset = dataset_named("own")
    plain = dataset.model_copy(update={"selection": SeriesRules()})
    assert stack_rules(plain.selection) == ""
    assert recipe_of(dataset).version != recipe_of(plain).version


def test_the_catalog_of_a_private_folder_names_no_file(store: Store, tmp_path: Path, own: Path) -> None:
    write(own)
    (own / "Doe^Jane").write_bytes(as_bytes(ct_slice(HU))[:-100])
    path = tmp_path / "datasets" / "own.yaml"
    path.write_text(yaml.safe_dump({**FIELDS, "private": True}))
    catalog, _ = catalog_series(store, "own", tmp_path / "home")
    assert [(one.reason, one.files, one.example) for one in catalog.causes] == [("unreadable", 1, "")]
    assert "Doe" not in repr(read_catalog(store, "own"))
    assert catalog.rows[0].stack
    assert all(
        row.key == f"{Pseudonyms.private(tmp_path / 'home').series('2.25.1')}-{row.stack}"
        for row in catalog.rows
    )
