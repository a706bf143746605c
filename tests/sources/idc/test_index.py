"""The index of the Imaging Data Commons: known counts, and files that are not an index."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from chestgan_core.config.dataset import dataset_named
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput, NotAvailable, UnknownName
from chestgan_core.sources.catalog.listing import list_file, list_series
from chestgan_core.sources.catalog.series_selection import SeriesStatus
from chestgan_core.sources.idc import index as idc_index
from chestgan_core.sources.idc.index import idc_series, installed_index
from chestgan_core.sources.series_rows import Amount, Catalog, collection_id

PUBLIC = Pseudonyms()


def check_lung_pet_ct_dx(catalog: Catalog) -> None:
    """The known counts of Lung-PET-CT-Dx in release 25 of the index."""
    summary = catalog.summary()
    assert (summary.all.series, summary.all.patients, summary.all.images) == (2606, 355, 252_446)
    assert (summary.clean.series, summary.clean.patients, summary.clean.images) == (797, 346, 147_702)
    assert (summary.selected.series, summary.selected.patients, summary.selected.images) == (346, 346, 51_441)
    assert round(summary.selected.bytes / 1e9, 1) == 27.2
    assert summary.left_out_series == {
        SeriesStatus.ANOTHER_CHOSEN: 451,
        SeriesStatus.OTHER_MODALITY: 1444,
        SeriesStatus.SECONDARY_CAPTURE: 281,
        SeriesStatus.TOO_FEW_IMAGES: 84,
    }
    assert {letter: part.patients for letter, part in summary.histology.items()} == {
        "A": 244,
        "B": 37,
        "E": 5,
        "G": 60,
    }
    captures = [row for row in catalog.rows if row.status == SeriesStatus.SECONDARY_CAPTURE]
    assert {row.modality for row in captures} == {"CT"}
    assert sum(row.images for row in captures) == 57_002


def test_the_installed_index_gives_the_known_series_of_the_collection(tmp_path: Path) -> None:
    catalog = list_series(dataset_named("lung_pet_ct_dx"), tmp_path)
    check_lung_pet_ct_dx(catalog)
    row = catalog.selected[0]
    assert row.location == f"s3://idc-open-data/{row.revision}/"
    assert (row.licence, row.doi, row.analysis) == ("CC BY 4.0", "10.7937/tcia.2020.nnc2-0461", "")
    reports = [row for row in catalog.rows if row.analysis == "lung_pet_ct_dx_annotations"]
    assert {row.modality for row in reports} == {"SR"}
    assert len(reports) == 1091


def test_the_four_descriptions_of_the_thesis_system_select_study_descriptions_of_the_index(
    tmp_path: Path,
) -> None:
    catalog = list_series(dataset_named("lung_pet_ct_dx_thesis"), tmp_path)
    selected = catalog.summary().selected
    assert (selected.series, selected.patients, selected.images) == (232, 88, 22_368)
    # Its own list has 103 patients with adenocarcinoma.
    assert len({row.patient for row in catalog.selected if row.histology == "A"}) == 70


def test_an_extract_as_csv_gives_the_same_rows_as_the_installed_index(
    real_data: Path, tmp_path: Path
) -> None:
    dataset = dataset_named("lung_pet_ct_dx")
    extract = list_file(dataset, real_data / "catalog" / "lung_pet_ct_dx_series.csv", tmp_path)
    check_lung_pet_ct_dx(extract)
    assert extract == list_series(dataset, tmp_path)


@pytest.fixture
def index(tmp_path: Path) -> pa.Table:
    """Two series of two collections; the second has only the required fields."""
    columns = {name: ["", ""] for name in idc_index.COLUMNS} | {
        "collection_id": ["some_lungs", "other"],
        "PatientID": ["Lung_Dx-G0001", "x1"],
        "SeriesInstanceUID": ["2.25.1", "2.25.2"],
        "Modality": ["CT", "MR"],
        "SeriesDescription": ['Chest,\n"3D"  IMR', None],
        "crdc_series_uuid": ["aa", "bb"],
        "series_aws_url": ["s3://bucket/aa/*", None],
    }
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    for name, kind in (("instanceCount", pa.int64()), ("series_size_MB", pa.float64())):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array([30, None], kind))
    return table


@pytest.mark.parametrize("form", ["index.csv", "index.parquet"])
def test_csv_and_parquet_are_distinguished_by_their_content(
    index: pa.Table, form: str, tmp_path: Path
) -> None:
    path = tmp_path / "an index"
    (pq.write_table if form.endswith("parquet") else pyarrow.csv.write_csv)(index, path)
    (row,) = idc_series("some_lungs", PUBLIC, path)
    assert (row.patient, row.histology, row.key) == ("Lung_Dx-G0001", "G", "2.25.1")
    assert (row.images, row.bytes) == (30, 30_000_000)
    assert (row.description, row.location, row.revision) == ('Chest, "3D" IMR', "s3://bucket/aa/", "aa")
    (bare,) = idc_series("other", PUBLIC, path)
    assert (bare.images, bare.bytes, bare.description, bare.location) == (0, 0, "", "")


@pytest.mark.parametrize("write", [pq.write_table, pyarrow.csv.write_csv])
def test_a_row_that_is_there_twice_counts_once_with_a_warning(
    index: pa.Table, write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(pa.concat_tables([index, index, index]), tmp_path / "index")
    assert len(idc_series("some_lungs", PUBLIC, tmp_path / "index")) == 1
    assert "2 rows repeat a series" in caplog.text


def with_value(index: pa.Table, name: str, value: object) -> pa.Table:
    at = index.schema.get_field_index(name)
    return index.set_column(at, index.field(at), pa.array([value, None], index.field(at).type))


@pytest.mark.parametrize("write", [pq.write_table, pyarrow.csv.write_csv])
def test_a_series_with_two_contents_is_refused(index: pa.Table, write, tmp_path: Path) -> None:
    write(pa.concat_tables([index, with_value(index, "instanceCount", 31)]), tmp_path / "index")
    with pytest.raises(BadInput, match="row 2 of some_lungs lists the series of row 1 of some_lungs again"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instanceCount", -1),
        ("instanceCount", 2**62),
        ("series_size_MB", float("nan")),
        ("series_size_MB", float("inf")),
        ("series_size_MB", -3.0),
        ("PatientID", " "),
        ("SeriesInstanceUID", ""),
    ],
)
def test_a_value_that_is_not_valid_is_refused_with_its_row(
    index: pa.Table, name: str, value: object, tmp_path: Path
) -> None:
    pq.write_table(with_value(index, name, value), tmp_path / "index")
    with pytest.raises(BadInput, match=f"row 1 of some_lungs has no .*{name}"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_do_no_harm(
    index: pa.Table, end: str, start: str, tmp_path: Path
) -> None:
    pyarrow.csv.write_csv(with_value(index, "SeriesDescription", "3D"), tmp_path / "index")
    text = (tmp_path / "index").read_text()
    (tmp_path / "index").write_bytes((start + text.replace("\n", end)).encode())
    assert [row.key for row in idc_series("some_lungs", PUBLIC, tmp_path / "index")] == ["2.25.1"]


@pytest.mark.parametrize("write", [pq.write_table, pyarrow.csv.write_csv])
def test_a_column_that_is_there_twice_is_refused(index: pa.Table, write, tmp_path: Path) -> None:
    write(index.append_column("Modality", index.column("Modality")), tmp_path / "index")
    with pytest.raises(BadInput, match="has the column Modality twice"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")


def test_the_wrong_types_of_a_parquet_file_are_refused(index: pa.Table, tmp_path: Path) -> None:
    at = index.schema.get_field_index("collection_id")
    pq.write_table(index.set_column(at, "collection_id", pa.array([1, 2])), tmp_path / "index")
    with pytest.raises(BadInput, match="has int64 in the column collection_id"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")
    pq.write_table(index.set_column(at, "collection_id", pa.array([b"x", b"y"])), tmp_path / "index")
    with pytest.raises(BadInput, match="has binary in the column collection_id"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")
    at = index.schema.get_field_index("instanceCount")
    pq.write_table(index.set_column(at, "instanceCount", pa.array(["many", "few"])), tmp_path / "index")
    with pytest.raises(BadInput, match="instanceCount"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")


def test_an_unknown_collection_is_answered_with_the_nearest_ones(index: pa.Table, tmp_path: Path) -> None:
    pq.write_table(index, tmp_path / "index.parquet")
    with pytest.raises(
        UnknownName, match=r"some_lung: is not one of the 2 collections .* did you mean some_lungs\?"
    ):
        idc_series("some_lung", PUBLIC, tmp_path / "index.parquet")


@pytest.mark.parametrize("write", [pq.write_table, pyarrow.csv.write_csv])
def test_a_missing_column_is_named(index: pa.Table, write, tmp_path: Path) -> None:
    write(index.drop_columns(["PatientID", "Modality"]), tmp_path / "index")
    with pytest.raises(BadInput, match="lacks the columns PatientID, Modality"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1 truncated", b"collection_id\n\xff\xfe\n", b"\0" * 100, "collection_id\n".encode("utf-16")],
)
def test_a_file_that_is_not_an_index_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(content)
    with pytest.raises(BadInput, match="index"):
        idc_series("some_lungs", PUBLIC, tmp_path / "index")


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_index().is_file()
    monkeypatch.setattr(idc_index, "PACKAGE", "a_package_that_nobody_installed")
    with pytest.raises(NotAvailable, match=r"pip install chestgan\[idc\]"):
        installed_index()


@pytest.mark.parametrize("name", ["Lung-PET-CT-Dx", "lung_pet_ct_dx", "LUNG PET-CT_Dx"])
def test_every_spelling_of_a_collection_has_one_id_in_the_imaging_data_commons(name: str) -> None:
    assert collection_id(name) == "lung_pet_ct_dx"


def test_private_ids_do_not_reach_the_rows(index: pa.Table, tmp_path: Path) -> None:
    pq.write_table(index, tmp_path / "index.parquet")
    (row,) = idc_series("some_lungs", Pseudonyms(b"a long random secret"), tmp_path / "index.parquet")
    assert row.patient.startswith("P")
    assert row.key.startswith("2.25.")
    assert (row.patient, row.key) != ("Lung_Dx-G0001", "2.25.1")
    assert isinstance(Catalog((row,)).summary().all, Amount)
