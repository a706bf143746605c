"""What people see of a materialization: pictures, tables and numbers that plot themselves over time.

Metadata is stored in Dagster's event log for ever: pictures are kept small, and nothing that could identify a
person goes in.
"""

import base64
from collections.abc import Mapping

import dagster as dg

PICTURE_LIMIT = 200_000  # bytes; the event log is a database


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG that the UI shows in place."""
    if len(png) > PICTURE_LIMIT:
        return dg.MetadataValue.md(f"{title}: {len(png):,} bytes, too large to show here; see the store")
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> dg.MarkdownMetadataValue:
    """A Markdown table."""
    lines = [" | ".join(map(str, row)) for row in (head, tuple("---" for _ in head), *rows)]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


def counts(reasons: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Reasons and how often, the most frequent first."""
    if not reasons:
        return dg.MetadataValue.md("none")
    ordered = sorted(reasons, key=lambda reason: -reasons[reason])
    return table(("reason", "files"), [(reason, reasons[reason]) for reason in ordered])


def blocking(name: str, asset: str, description: str) -> dg.AssetCheckSpec:
    """A check that stops everything downstream when it fails."""
    return dg.AssetCheckSpec(name, asset=asset, blocking=True, description=description)


def check(name: str, passed: bool, **metadata: float | int | str) -> dg.AssetCheckResult:
    """The result of an inline check."""
    return dg.AssetCheckResult(check_name=name, passed=passed, metadata=metadata)
