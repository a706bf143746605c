"""The stacks of one series: each the slices of one scan in one reconstruction, no position twice.

In: the headers of the slices of a series, and a way to find copies. Out: `Stack`s, and the slices that are left out.

A SeriesInstanceUID does not promise one stack: two acquisitions, the phases of a gated scan or two reconstructions may
share it. Slices are told apart
1. by what rules and rows are about: study, kernel, thickness, descriptions, manufacturer;
2. by orientation: the slices at an angle to most others of their stack are left out;
3. by the attributes of a scan (acquisition.SCANS, matrix, pixel size), where the slices of two values lie between
   each other. Values that follow each other along the body, as the AcquisitionNumber of a step-and-shoot scan, are
   one stack;
4. where positions still repeat, by other attributes (acquisition.HINTS), then by the order in time (ORDERS);
5. where they do not, by the InstanceNumber, if it runs along the body more than once.

Copies are dropped before. Where one position is that of many slices, SliceLocation is the position, if it differs.
Slices that nothing tells apart are left out with a reason of their own: mixed stacks would be wrong silently.

Names and order of the files decide nothing.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from chestgan_core.dicom.acquisition import HINTS, ORDERS, SCANS
from chestgan_core.dicom.along_body import Slices, by_place, cut_into_runs, joined, most_at_one_place
from chestgan_core.dicom.contents import Dropped
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.left_out import LeftOut

SAME_NORMAL_COSINE = 0.9994  # 2 degrees
MIN_TURN = 3  # slices along the body that show a direction
_INSTANCE_NUMBER = ORDERS.index("InstanceNumber")

Distinct: TypeAlias = Callable[[Slices], tuple[dict[str, SliceHeader], list[Dropped]]]


@dataclass(frozen=True)
class Stack:
    """slices: from the lowest to the highest. label: 8 hexadecimal digits that tell it from the other stacks of its
    series; empty where there is one. by_slice_location: positions are those of SliceLocation.
    """

    slices: tuple[SliceHeader, ...]
    label: str
    by_slice_location: bool


def stacks_of(headers: Sequence[SliceHeader], distinct: Distinct) -> tuple[list[Stack], list[Dropped]]:
    """The stacks of a series, and the slices in none. distinct: `contents.distinct`, which reads pixels."""
    headers, dropped = _without_copies(headers, distinct)
    found: list[tuple[Slices, bool]] = []
    for described in _by_description(headers):
        parallel = _largest_orientation(described)
        kept = set(map(id, parallel))
        dropped += [(one, LeftOut.MIXED_ORIENTATION, "") for one in described if id(one) not in kept]
        located = _at_slice_locations(parallel)
        for scan in _by_scan(located or parallel):
            found += [(stack, located is not None) for stack in _told_apart(scan, dropped) if stack]
    return _labelled(found), dropped


def _without_copies(headers: Sequence[SliceHeader], distinct: Distinct) -> tuple[Slices, list[Dropped]]:
    repeated = [one for place in by_place(headers) if len(place) > 1 for one in place]
    if not repeated:
        return list(headers), []
    kept, dropped = distinct(repeated)
    gone = set(map(id, repeated)) - set(map(id, kept.values()))
    return [one for one in headers if id(one) not in gone], dropped


def _by_description(headers: Sequence[SliceHeader]) -> list[Slices]:
    """Groups with equal kernel, thickness, descriptions ... An unknown value joins the only known one of its series."""
    fields: list[tuple[str, ...]] = [
        (
            one.series.study_uid,
            one.series.kernel.strip().casefold(),
            str(round(one.series.thickness_mm, 2) or ""),
            " ".join(one.series.description.split()).casefold(),
            " ".join(one.series.study_description.split()).casefold(),
            one.series.manufacturer.strip().casefold(),
        )
        for one in headers
    ]
    written = dict(zip(map(id, headers), fields, strict=True))
    groups: list[Slices] = []
    for group in _grouped(headers, _completed(fields)):
        # Unless a position would repeat: then what lacks the value is another scan.
        groups += (
            [group] if most_at_one_place(group) == 1 else _grouped(group, [written[id(one)] for one in group])
        )
    return groups


def _by_scan(headers: Slices) -> list[Slices]:
    parts = [headers]
    for at in range(len(SCANS)):
        parts = [part for whole in parts for part in _apart(whole, _scan_value(at))]
    return [part for whole in parts for part in _apart(whole, _matrix)]


def _scan_value(at: int) -> Callable[[SliceHeader], str]:
    return lambda one: one.acquisition.scans[at]


def _hint_value(at: int) -> Callable[[SliceHeader], str]:
    return lambda one: one.acquisition.hints[at]


def _matrix(header: SliceHeader) -> str:
    row_mm, column_mm = header.geometry.row_mm, header.geometry.column_mm
    return f"{header.rows} {header.columns} {row_mm:.3f} {column_mm:.3f}"


def _apart(headers: Slices, value: Callable[[SliceHeader], str]) -> list[Slices]:
    """Groups by a value, joined again where they follow each other along the body without overlap."""
    written: list[tuple[str, ...]] = [(value(one),) for one in headers]
    groups = _grouped(headers, _completed(written))
    if len(groups) == 1 and most_at_one_place(headers) > 1:
        groups = _grouped(headers, written)  # a scan whose files lack the value
    return joined(sorted(groups, key=lambda group: _natural(max(map(value, group)))))


def _at_slice_locations(headers: Slices) -> Slices | None:
    """The slices at their SliceLocation, where one position is that of many slices and SliceLocation knows better.

    None: positions do not repeat, or several do (then there are several scans), or a slice has no SliceLocation, or
    all have the same.
    """
    repeated = [place for place in by_place(headers) if len(place) > 1]
    locations = [one.acquisition.slice_location for one in headers]
    if len(repeated) != 1 or None in locations:
        return None
    if len({one.acquisition.slice_location for one in repeated[0]}) == 1:
        return None
    return [
        replace(one, geometry=replace(one.geometry, position_mm=location))
        for one, location in zip(headers, locations, strict=True)
        if location is not None
    ]


def _told_apart(scan: Slices, dropped: list[Dropped]) -> list[Slices]:
    """Stacks by attributes and by the order in time; what neither tells apart is left out."""
    most = most_at_one_place(scan)
    if most == 1:
        return _by_turns(scan)
    for at in range(len(HINTS)):
        values = {one.acquisition.hints[at] for one in scan}
        if 1 < len(values) <= most:
            parts = _apart(scan, _hint_value(at))
            if len(parts) > 1:
                return [stack for part in parts for stack in _told_apart(part, dropped)]
    for at in range(len(ORDERS)):
        stacks = _by_order(scan, at)
        if stacks is not None:
            return stacks
    places = by_place(scan)
    reason = LeftOut.ONE_POSITION if len(places) == 1 else LeftOut.OVERLAPPING
    dropped += [(one, reason, reason.meaning) for place in places if len(place) > 1 for one in place]
    return [[one for place in places if len(place) == 1 for one in place]]


def _by_turns(scan: Slices) -> list[Slices]:
    """Two scans or more that lie between each other, numbered one after the other; else the scan itself.

    Along one scan the InstanceNumber runs up or down. Where it runs along the body several times, each run is a scan.
    """
    numbers = {id(one): one.acquisition.orders[_INSTANCE_NUMBER] for one in scan}
    if None in numbers.values() or len(set(numbers.values())) < len(scan):
        return [scan]
    runs = cut_into_runs(sorted(scan, key=lambda one: numbers[id(one)] or 0.0))
    if min(map(len, runs)) < MIN_TURN:
        return [scan]  # numbers without an order
    return joined(runs)


def _by_order(scan: Slices, at: int) -> list[Slices] | None:
    """Stacks by an attribute that grows from scan to scan; None where it does not tell all repeated positions apart."""
    values = {id(one): one.acquisition.orders[at] for one in scan}
    if None in values.values():
        return None
    places = by_place(scan)
    if len(places) == 1 and any(one.acquisition.slice_location is None for one in scan):
        return None  # whether all were taken at this position, or their positions are lost, nothing says
    if any(len({values[id(one)] for one in place}) < len(place) for place in places):
        return None
    most = max(map(len, places))
    ordered = sorted(scan, key=lambda one: (values[id(one)], one.position_mm))
    runs = cut_into_runs(ordered)
    if len(runs) == most:
        return runs
    if any(len(place) < most for place in places):
        return None  # which of the scans is incomplete here is not known
    ranks: list[Slices] = [[] for _ in range(most)]
    for place in places:
        for rank, one in enumerate(sorted(place, key=lambda one: values[id(one)] or 0.0)):
            ranks[rank].append(one)
    return ranks


def _largest_orientation(headers: Slices) -> Slices:
    """The slices that are parallel (within 2 degrees) to the most frequent orientation."""
    counts = Counter(tuple(round(part, 3) for part in header.geometry.normal) for header in headers)
    if len(counts) == 1:
        return headers

    def parallel(normal: tuple[float, ...]) -> int:
        return sum(count for other, count in counts.items() if _parallel(normal, other))

    most_frequent = max(sorted(counts), key=parallel)
    return [header for header in headers if _parallel(most_frequent, header.geometry.normal)]


def _parallel(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return sum(x * y for x, y in zip(a, b, strict=True)) >= SAME_NORMAL_COSINE


def _completed(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Each empty value replaced by the only other value of its column, where there is only one."""
    only: list[str] = []
    for column in zip(*rows, strict=True):
        known = {value for value in column if value}
        only.append(known.pop() if len(known) == 1 else "")
    return [tuple(value or other for value, other in zip(row, only, strict=True)) for row in rows]


def _grouped(headers: Sequence[SliceHeader], keys: Sequence[tuple[str, ...]]) -> list[Slices]:
    groups: defaultdict[tuple[str, ...], Slices] = defaultdict(list)
    for header, key in zip(headers, keys, strict=True):
        groups[key].append(header)
    return [groups[key] for key in sorted(groups)]


def _natural(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return 0.0, value


def _labelled(found: list[tuple[Slices, bool]]) -> list[Stack]:
    """The stacks in an order that depends on the headers only, each with its label."""
    described = []
    for slices, located in found:
        ordered = tuple(sorted(slices, key=lambda one: one.position_mm))
        texts = sorted({repr((one.series, one.acquisition.scans, _matrix(one))) for one in ordered})
        times = [tuple(value or 0.0 for value in one.acquisition.orders) for one in ordered]
        described.append(
            (texts, min(times), [(one.position_mm, one.sop_uid) for one in ordered], ordered, located)
        )
    described.sort(key=lambda one: one[:3])
    if len(described) == 1:
        return [Stack(described[0][3], "", described[0][4])]
    seen: Counter[str] = Counter()
    stacks = []
    for texts, _, _, ordered, located in described:
        text = repr(texts)
        seen[text] += 1
        digest = hashlib.sha256(f"{seen[text]} {text}".encode("utf-8", "backslashreplace"))
        stacks.append(Stack(ordered, digest.hexdigest()[:8], located))
    return stacks
