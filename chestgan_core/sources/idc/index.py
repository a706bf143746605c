"""The series of a collection in the index of the Imaging Data Commons.

In: the index as Parquet (by default that of the installed package idc-index-data) or CSV with the same columns, and a
collection. Out: SeriesRow without a status. Needs no network.

The index has about a million series in one row group. One thread reads and filters one batch after the other: measured,
that takes a third of the time and of the memory of a pyarrow.dataset with a filter, which decodes whole columns before
it drops rows.
"""

import codecs
import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.dicom.histology import histology_of
from chestgan_core.errors import BadInput, NotAvailable, UnknownName, nearest
from chestgan_core.sources.series_rows import SeriesRow, single_spaced
from chestgan_core.sources.series_tables import each_once

if TYPE_CHECKING:
    import pyarrow as pa

    from chestgan_core.dicom.pseudonyms import Pseudonyms

COLUMNS = (
    "collection_id",
    "analysis_result_id",
    "PatientID",
    "SeriesInstanceUID",
    "source_DOI",
    "StudyDescription",
    "SeriesDescription",
    "Modality",
    "SOPClassUID",
    "PhotometricInterpretation",
    "Manufacturer",
    "instanceCount",
    "license_short_name",
    "crdc_series_uuid",
    "series_aws_url",
    "series_size_MB",
)
NUMBERS = ("instanceCount", "series_size_MB")
PACKAGE = "idc_index_data"
BATCH = 65536
REMEDY = "name the idc_index.parquet of idc-index-data, or a CSV of it"
_MAX_COUNT = 10**9


def idc_series(collection: str, pseudonyms: "Pseudonyms", index: Path | None = None) -> list[SeriesRow]:
    """Every series of a collection, in the order of the index.

    A series that is listed again with the same content counts once. Raises NotAvailable (no index given and the package
    is not installed), UnknownName (no such collection), BadInput (no such file, another kind of file, missing columns,
    a value that is not valid for its column, a series listed again with other content).
    """
    path = index.expanduser() if index is not None else installed_index()
    if not path.is_file():
        raise BadInput(
            path, "there is no such file", "name an index of the Imaging Data Commons, CSV or Parquet"
        )
    import pyarrow as pa
    import pyarrow.compute as pc

    kept: list[dict[str, Any]] = []
    known: set[str | None] = set()
    try:
        for batch in _batches(path):
            _require_types(path, batch)
            collections = batch.column("collection_id")
            known.update(pc.unique(collections).to_pylist())
            matches = pc.equal(collections, pa.scalar(collection, collections.type))
            kept.extend(batch.filter(matches).to_pylist())
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        cause = f"is not an index of the Imaging Data Commons ({' '.join(str(error).split())[:200]})"
        raise BadInput(path, cause, REMEDY) from error
    if not kept:
        cause = f"is not one of the {len(known)} collections of {path.name}"
        raise UnknownName(collection, cause, nearest(collection, filter(None, known)))
    numbered = ((f"row {number} of {collection}", fields) for number, fields in enumerate(kept, 1))
    rows = ((where, _row(path, where, fields, pseudonyms)) for where, fields in numbered)
    return each_once(path, rows, REMEDY)


def installed_index() -> Path:
    """The path of the index in the package idc-index-data. Raises NotAvailable.

    The package is not imported, as its import reads a dozen other files.
    """
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder) / "idc_index.parquet"
        if path.is_file():
            return path
    raise NotAvailable(
        "the index of the Imaging Data Commons",
        "the package idc-index-data is not installed",
        "run `pip install chestgan[idc]`, or set source.index of the dataset to a CSV or Parquet file",
    )


def _batches(path: Path) -> "Iterator[pa.RecordBatch]":
    """COLUMNS of the index, at most BATCH rows (Parquet) or about a megabyte (CSV) at a time. Raises BadInput,
    pyarrow.ArrowInvalid.
    """
    import pyarrow as pa
    import pyarrow.csv

    from chestgan_core.local.parquet import column_names, iter_parquet

    with path.open("rb") as stream:
        start = stream.read(4)
        is_parquet = start == b"PAR1"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadInput(path, "is text in UTF-16", "save it as UTF-8")
    if is_parquet:
        _require_columns(path, column_names(path))
        yield from iter_parquet(path, COLUMNS, BATCH)
        return
    numbers = dict(zip(NUMBERS, (pa.int64(), pa.float64()), strict=True))
    options = pyarrow.csv.ConvertOptions(column_types={**dict.fromkeys(COLUMNS, pa.string()), **numbers})
    with pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=options,
    ) as index:
        _require_columns(path, index.schema.names)
        for batch in index:
            yield batch.select(list(COLUMNS))


def _require_columns(path: Path, present: list[str]) -> None:
    if repeated := [name for name in COLUMNS if present.count(name) > 1]:
        raise BadInput(path, f"has the column {repeated[0]} twice", REMEDY)
    if missing := [name for name in COLUMNS if name not in present]:
        raise BadInput(
            path,
            f"lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            "name an index of the Imaging Data Commons, from idc-index-data 25 or newer",
        )


def _require_types(path: Path, batch: "pa.RecordBatch") -> None:
    import pyarrow.types as kinds

    for name in COLUMNS:
        kind = batch.schema.field(name).type
        kind = kind.value_type if kinds.is_dictionary(kind) else kind
        is_number = kinds.is_integer(kind) or kinds.is_floating(kind)
        is_text = kinds.is_string(kind) or kinds.is_large_string(kind)
        if not (is_number if name in NUMBERS else is_text or kinds.is_null(kind)):
            raise BadInput(path, f"has {kind} in the column {name}", REMEDY)


def _row(path: Path, where: str, fields: dict[str, Any], pseudonyms: "Pseudonyms") -> SeriesRow:
    def text(name: str) -> str:
        return str(fields[name] or "")

    def number(name: str) -> float:
        value = fields[name] or 0
        is_number = isinstance(value, int | float) and math.isfinite(value)
        if not is_number or not 0 <= value <= _MAX_COUNT:
            raise BadInput(path, f"{where} has no valid {name}", REMEDY)
        return float(value)

    for name in ("PatientID", "SeriesInstanceUID"):
        if not text(name).strip():
            raise BadInput(path, f"{where} has no {name}", REMEDY)

    return SeriesRow(
        patient=pseudonyms.patient(text("PatientID")),
        key=pseudonyms.series(text("SeriesInstanceUID")),
        modality=text("Modality"),
        sop_class=text("SOPClassUID"),
        photometric=text("PhotometricInterpretation"),
        description=single_spaced(text("SeriesDescription")),
        manufacturer=text("Manufacturer"),
        images=int(number("instanceCount")),
        bytes=round(number("series_size_MB") * 1e6),
        histology=histology_of(text("PatientID")),
        licence=text("license_short_name"),
        doi=text("source_DOI"),
        analysis=text("analysis_result_id"),
        revision=text("crdc_series_uuid"),  # new whenever the series changes
        location=text("series_aws_url").removesuffix("*"),
        study_description=single_spaced(text("StudyDescription")),
    )
