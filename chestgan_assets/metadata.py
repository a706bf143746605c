"""What people see of a materialization: its address, pictures, tables, and numbers that Dagster plots over time.

Metadata stays in Dagster's event log for ever: pictures are kept small, and nothing that could identify a person is
written.
"""

import base64
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints
from urllib.parse import quote

import dagster as dg

from chestgan_assets.execution.dagster_internals import SentenceFailure
from chestgan_core.documents.markdown import markdown
from chestgan_core.escaping import escaped

if TYPE_CHECKING:
    import pyarrow as pa

    from chestgan_core.dicom.left_out import Cause

# Below it the webserver answers with files of the store (chestgan_assets/web/files.py).
FILES = "/files/"
CAUSES = 20  # rows of a table of causes: a delivery may be wrong in a thousand ways
PICTURE_LIMIT = 120_000  # bytes; the event log is a database, and keeps every materialization
PATIENT_PICTURE_LIMIT = 24_000  # there may be tens of thousands of patients
PICTURE_WIDTH = 1240  # pixels; what the UI's dialog shows without scrolling

# The names by which the UI knows where data is and what it holds.
URI, ROW_COUNT, COLUMNS, SIZE = (
    "dagster/uri",
    "dagster/row_count",
    "dagster/column_schema",
    "dagster/size_bytes",
)

MADE_BY = "made by run"  # of a materialization that a run found made already

Cell = str | int | float | bool | None
_TYPES = {str: "string", int: "int", float: "float", bool: "bool", list[str]: "list[string]"}


def picture(png: bytes, title: str, limit: int = PICTURE_LIMIT) -> dg.MarkdownMetadataValue:
    """A picture, which the UI shows after a click, with its title below it; scaled down to the limit, in bytes."""
    from chestgan_core.imaging.pictures import thumbnail

    data, mime = thumbnail(png, limit, PICTURE_WIDTH)
    shown = markdown(title)
    return dg.MetadataValue.md(f"![{shown}](data:{mime};base64,{base64.b64encode(data).decode()})\n\n{shown}")


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], descriptions: Mapping[str, str] | None = None
) -> dg.TableMetadataValue:
    """A table; the type of a column is that of its values. descriptions: column -> what it means, with its unit."""
    described = descriptions or {}
    schema = dg.TableSchema(
        [
            dg.TableColumn(name, _type_of([row[at] for row in rows]), described.get(name))
            for at, name in enumerate(columns)
        ]
    )
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema)


def compact_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> dg.TableMetadataValue:
    """A table without its empty columns."""
    kept = [at for at in range(len(columns)) if any(row[at] not in ("", None) for row in rows)]
    return table([columns[at] for at in kept], [[row[at] for at in kept] for row in rows])


def counts(
    reasons: Mapping[str, int],
    unit: str = "files",
    what: str = "reason",
    meanings: Mapping[str, str] | None = None,
) -> dg.TableMetadataValue:
    """Reasons and their frequency, the most frequent first. unit: what is counted; meanings: reason -> explanation."""
    ordered = sorted(reasons, key=lambda reason: -reasons[reason])
    if meanings is None:
        return table((what, unit), [(reason, reasons[reason]) for reason in ordered])
    return table(
        (what, unit, "meaning"), [(reason, reasons[reason], meanings.get(reason, "")) for reason in ordered]
    )


def causes(found: "Sequence[Cause]", what: str = "reason") -> dg.TableMetadataValue:
    """Why files are left out, or what is doubtful about files that are used: the most frequent, each with a file.

    Only for names of files that may be read by everyone who reads metadata.
    """
    ordered = sorted(found, key=lambda one: (-one.files, one.reason, one.cause))[:CAUSES]
    return compact_table(
        (what, "cause", "files", "example"),
        [(escaped(one.reason), escaped(one.cause), one.files, escaped(one.example)) for one in ordered],
    )


def columns_of_rows(row: type, descriptions: Mapping[str, str] | None = None) -> dg.TableSchema:
    """The columns of a Parquet file whose rows are of this dataclass or TypedDict. descriptions: as for `table`."""
    described = descriptions or {}
    return dg.TableSchema(
        [
            dg.TableColumn(name, _TYPES.get(kind, "string"), described.get(name))
            for name, kind in get_type_hints(row).items()
        ]
    )


def columns_of_parquet(schema: "pa.Schema", descriptions: Mapping[str, str] | None = None) -> dg.TableSchema:
    """The columns of a Parquet file with this schema. descriptions: as for `table`."""
    described = descriptions or {}
    return dg.TableSchema(
        [dg.TableColumn(field.name, str(field.type), described.get(field.name)) for field in schema]
    )


def beside(manifest_uri: str, name: str) -> dg.UrlMetadataValue:
    """A link to another file of the artefact with this manifest: browsers do not open s3://, the webserver does.

    Without a host, as the same UI is reached at several: through a tunnel, a proxy, on another port.
    """
    root = f"{os.environ.get('CHESTGAN_STORE', '').rstrip('/')}/"
    folder = manifest_uri.rpartition("/")[0].removeprefix(root)
    return dg.MetadataValue.url(f"{FILES}{folder}/{name}")


def where_to_look(asset: str, partition: str, run: str, step: str) -> dg.MarkdownMetadataValue:
    """Links to the log of a step, and to what it reports on the page of its asset, where "Plots" draws the numbers."""
    selection = quote(f'name:"{step}"', safe="")
    log = f"/runs/{run}?logType=stderr&selection={selection}"
    events = f"/assets/{asset}?view=events&partition={quote(partition, safe='')}"
    return dg.MetadataValue.md(f"[log]({log}), [events and plots]({events})")


def check_spec(
    name: str,
    asset: str,
    description: str,
    partitions: dg.PartitionsDefinition | None = None,
    blocking: bool = True,
) -> dg.AssetCheckSpec:
    """A check of an asset. partitions: those of the asset, which has a result for each. blocking: a failure stops
    everything downstream of that partition.
    """
    with warnings.catch_warnings():
        # Without partitions the last result of any patient or experiment replaces those of all others. Dagster calls
        # partitioned checks a preview; its UI shows them.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            name, asset=asset, blocking=blocking, description=description, partitions_def=partitions
        )


def check(
    name: str, passed: bool, sentence: str, warn: bool = False, metadata: Mapping[str, Cell] | None = None
) -> dg.AssetCheckResult:
    """The result of an inline check. sentence: the result in words. warn: a failure stops nothing."""
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
        description=sentence,
        metadata=dict(metadata or {}),
    )


def refused_by_checks(result: dg.MaterializeResult[Any]) -> Iterator[dg.MaterializeResult[Any]]:
    """The result; then, where a check of it failed with severity ERROR, the failure of the step with its sentences.

    Dagster by itself would end the step with "1 blocking asset check failed" and a stack trace. Retrying cannot help.
    """
    yield result
    raise_if_refused(result)


def raise_if_refused(result: dg.MaterializeResult[Any]) -> None:
    """Raises dg.Failure, with the sentences of the checks that failed: nothing downstream may use this result."""
    failed = [
        one
        for one in result.check_results or ()
        if not one.passed and one.severity is dg.AssetCheckSeverity.ERROR
    ]
    if failed:
        said = " ".join(one.description or "" for one in failed)
        names = ", ".join(one.check_name or "" for one in failed)
        raise SentenceFailure(f"Refused: {said}", {"refused": said, "checks": names})


def images_vary(spread: float) -> dg.AssetCheckResult:
    """The check of the same name. spread: mean over pixels of the standard deviation between images in [-1, 1]."""
    said = (
        f"Between images a pixel varies by {spread:.2g} (standard deviation; grey values are from -1 to 1)."
        if spread > 0
        else "All images are the same: the generator has collapsed."
    )
    return check("images_vary", spread > 0, said, metadata={"standard deviation": round(spread, 4)})


def _type_of(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return "float"
    return _TYPES.get(kinds.pop(), "string") if len(kinds) == 1 else "string"
