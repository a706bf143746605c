"""What differs between two versions of sets, as lines for people."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chestgan_core.publishing.versions.diff import Change, SetDifference

_SHOWN = 20  # of one kind; --json has all
_WIDTH = 60  # of a value


def lines_of(found: "SetDifference") -> Iterator[str]:
    """One line per difference, in groups."""
    yield f"{found.first} -> {found.second}"
    images = found.images
    yield (
        f"images: {images.first:,} -> {images.second:,}, {images.equal:,} are the same pixel by pixel, "
        f"{images.same_place:,} of them under the same number"
    )
    yield from _changes("facts", found.facts)
    yield from _changes("measures", found.measures)
    yield from _changes("provenance", found.provenance)
    for which, names in found.files.items():
        if names:
            said = {
                "first": "only in the first",
                "second": "only in the second",
                "changed": "with other content",
            }
            yield f"files {said[which]}: {_listed(names)}"
    if found.split is None:
        yield "split: not both versions have one"
    else:
        yield from _changes("series of the split", found.split)


def _changes(kind: str, changes: "Sequence[Change]") -> Iterator[str]:
    if not changes:
        yield f"{kind}: the same"
        return
    yield f"{kind}:"
    for one in changes[:_SHOWN]:
        yield f"  {one.name}: {_value(one.first)} -> {_value(one.second)}"
    if len(changes) > _SHOWN:
        yield f"  ... and {len(changes) - _SHOWN:,} more (--json has all)"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names):,} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
