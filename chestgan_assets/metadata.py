"""What people see of a materialization: pictures, tables and numbers that plot themselves over time.

Metadata is stored in Dagster's event log for ever: pictures are kept small, and nothing that could identify a
person goes in.
"""

import base64
from collections.abc import Mapping, Sequence

import dagster as dg

PICTURE_LIMIT = 120_000  # bytes; the event log is a database, and keeps every materialization


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A picture, which the UI shows after a click, with its title below; made smaller where it is too large to keep."""
    from chestgan_core.imaging.pictures import thumbnail

    data, mime = thumbnail(png, PICTURE_LIMIT)
    return dg.MetadataValue.md(f"![{title}](data:{mime};base64,{base64.b64encode(data).decode()})\n\n{title}")


def table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> dg.MarkdownMetadataValue:
    """A Markdown table."""
    lines = [
        " | ".join(str(cell).replace("|", "\\|") for cell in row)
        for row in (head, tuple("---" for _ in head), *rows)
    ]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


def counts(
    reasons: Mapping[str, int],
    unit: str = "files",
    what: str = "reason",
    meanings: Mapping[str, str] | None = None,
) -> dg.MarkdownMetadataValue:
    """Reasons and how often, the most frequent first; unit: what is counted; meanings: an explanation of each."""
    if not reasons:
        return dg.MetadataValue.md("none")
    ordered = sorted(reasons, key=lambda reason: -reasons[reason])
    if meanings is None:
        return table((what, unit), [(reason, reasons[reason]) for reason in ordered])
    return table(
        (what, unit, "meaning"), [(reason, reasons[reason], meanings.get(reason, "")) for reason in ordered]
    )


def filled(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> dg.MarkdownMetadataValue:
    """A table without the columns in which nothing stands."""
    kept = [at for at in range(len(head)) if any(row[at] not in ("", None) for row in rows)]
    return table(tuple(head[at] for at in kept), [tuple(row[at] for at in kept) for row in rows])


def blocking(name: str, asset: str, description: str) -> dg.AssetCheckSpec:
    """A check that stops everything downstream when it fails."""
    return dg.AssetCheckSpec(name, asset=asset, blocking=True, description=description)


def check(name: str, passed: bool, **metadata: float | int | str) -> dg.AssetCheckResult:
    """The result of an inline check."""
    return dg.AssetCheckResult(check_name=name, passed=passed, metadata=metadata)
