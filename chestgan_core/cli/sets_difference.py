"""What differs between two versions of sets, as lines for people."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chestgan_core.evaluation.scoring.metric_rows import MEASURES

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
    yield from _changes("measures", found.measures, _measured)
    yield from _changes("provenance", found.provenance)
    for which, names in found.files.items():
        if names:
            said = {
                "first": "only in the first",
                "second": "only in the second",
                "changed": "with other content",
            }
            yield f"files {said[which]}: {_listed(names)}"
    yield from _changes("series of the split", found.split)


def _changes(
    kind: str, changes: "Sequence[Change] | None", value: "Callable[[Change, Any], str] | None" = None
) -> Iterator[str]:
    if changes is None:
        yield f"{kind}: not known of both versions"
        return
    if not changes:
        yield f"{kind}: the same"
        return
    yield f"{kind}:"
    for one in changes[:_SHOWN]:
        first, second = (value(one, side) if value else _value(side) for side in (one.first, one.second))
        yield f"  {one.name}: {first} -> {second}"
    if len(changes) > _SHOWN:
        yield f"  ... and {len(changes) - _SHOWN:,} more (--json has all)"


def _measured(change: "Change", value: Any) -> str:
    """As the card prints it."""
    if value is None:
        return "not measured"
    display = MEASURES[change.name].display if change.name in MEASURES else "number"
    if not isinstance(value, float) or display == "number":
        return _value(value)
    return f"{value * 1000:.1f} x 1000" if display == "x 1000" else f"{value:.1%}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names):,} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
