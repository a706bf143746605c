"""What somebody typed into the header of a private file leaves the raw archive only as a family of a closed list."""

from pathlib import Path

import pytest

from chestgan_core.config.dataset import dataset_named
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.catalog.kernels import kernel_family
from chestgan_core.sources.catalog.listing import list_series
from chestgan_core.sources.catalog.manufacturers import FAMILIES, manufacturer_family
from tests.dicom.ct_files import write_series

TYPED = {
    "ConvolutionKernel": "B70f of Doe", "Manufacturer": "SIEMENS, for Jane Doe", "SeriesDescription": "Jane Doe",
    "StudyDescription": "Doe", "PatientID": "4711",
}  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "family"),
    [
        ("GE MEDICAL SYSTEMS", "GE"), ("SIEMENS", "Siemens"), ("Siemens Healthineers", "Siemens"),
        ("TOSHIBA", "Canon"), ("Philips Medical Systems", "Philips"), ("UIH", "United Imaging"), ("", "unknown"),
        ("Doe^Jane", "other"), ("Georgia", "other"), ("chestgan phantom: generated", "phantom"),
    ],
)  # fmt: skip
def test_a_manufacturer_has_a_family(typed: str, family: str) -> None:
    assert manufacturer_family(typed) == family


def test_a_family_is_its_own_family() -> None:
    assert [manufacturer_family(family) for family in FAMILIES] == list(FAMILIES)
    assert [kernel_family(family) for family in ("soft", "lung", "unknown")] == ["soft", "lung", "unknown"]


def test_rows_of_private_slices_carry_the_family_and_of_public_ones_the_text(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "in", 8, **TYPED)
    recipe = NormalizationRecipe(size=16)
    private = normalize([folder], recipe, Pseudonyms(b"a key of 16 bytes"))
    assert {row.kernel for row in private.shard.rows} == {"lung"}
    assert "Doe" not in repr(private.shard.rows)
    public = normalize([folder], recipe, Pseudonyms())
    assert {row.kernel for row in public.shard.rows} == {"B70f of Doe"}


def test_the_catalog_of_a_private_folder_carries_families(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_FOLDER", str(write_series(tmp_path / "in", 8, **TYPED)))
    catalog = list_series(dataset_named("folder"), tmp_path / "home")
    (row,) = catalog.rows
    assert (row.kernel, row.manufacturer, row.description, row.study_description) == (
        "lung",
        "Siemens",
        "",
        "",
    )
    assert not any(word in repr(row) for word in ("Doe", "Jane", "4711"))
