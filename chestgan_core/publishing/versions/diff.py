"""What differs between two published versions, of one set or of two.

In: a store, two versions. Out: facts, files, measures, images and series of the split that differ. Of the sets only the
small files are read.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chestgan_core.errors import NotInStore
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.reader.labels import labels_of_parquet
from chestgan_core.publishing.reader.manifest import REMEDY
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder, parse_set
from chestgan_core.publishing.versions.finding import find_set
from chestgan_core.publishing.versions.index import PROVENANCE
from chestgan_core.publishing.versions.status import withdrawal_of
from chestgan_core.store.store import Store

SPLIT = "split.csv"
_MAX_PROVENANCE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Change:
    """A value of both versions, by name. None: the version does not have it."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Images:
    """equal: images of the first version that the second has too, by the sha256 of their levels. same_place: of these,
    how many have the same number."""

    first: int
    second: int
    equal: int
    same_place: int


@dataclass(frozen=True)
class SetDifference:
    """first, second: `<set>/<version>`. facts, measures, provenance: what differs. files: names, in the first alone, in
    the second alone, in both with other content. split: series that are on another side, or in one version alone. None
    for measures, provenance or split: one of the versions does not have them, or not any more (a patient withdrew).
    """

    first: str
    second: str
    facts: tuple[Change, ...]
    measures: tuple[Change, ...] | None
    provenance: tuple[Change, ...] | None
    files: dict[str, tuple[str, ...]]
    images: Images
    split: tuple[Change, ...] | None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def diff_sets(store: Store, first: tuple[str, str | None], second: tuple[str, str | None]) -> SetDifference:
    """Compare two versions.

    Args:
        store: The store.
        first: Name and version, None for the newest.
        second: The other one.

    Returns:
        What differs.

    Raises:
        NotInStore: There is no such set or version.
        DamagedObject: A manifest, the labels or another small file is not as published.
        StoreError: The store refused, or did not answer.
    """
    with tempfile.TemporaryDirectory(prefix="chestgan-diff-") as scratch:
        one = _small_files(store, *first, Path(scratch) / "first")
        two = _small_files(store, *second, Path(scratch) / "second")
        before, after = _provenance(one), _provenance(two)
        return SetDifference(
            first=f"{one.facts.name}/{one.version}",
            second=f"{two.facts.name}/{two.version}",
            facts=_changes(_flat(one.facts.as_json()), _flat(two.facts.as_json())),
            measures=_changes(_measures(before), _measures(after)) if before and after else None,
            provenance=_changes(_flat(_rest(before)), _flat(_rest(after))) if before and after else None,
            files=_files(one, two),
            images=_images(one, two),
            split=_split(one, two),
        )


def _small_files(store: Store, name: str, version: str | None, folder: Path) -> SetFolder:
    artefact, version = find_set(store, name, version)
    where = store.uri(artefact.manifest_key)
    found = parse_set(store.get_bytes(artefact.manifest_key, artefact.sha256), folder, where)
    folder.mkdir()
    for item in found.objects:
        if found.name(item) in (LABELS, PROVENANCE, SPLIT):
            try:
                store.get_file(item.key, found.file(item), item.sha256)
            except NotInStore:
                # Deleted with a patient who withdrew; the labels stay.
                if found.name(item) == LABELS or not withdrawal_of(store, name, version):
                    raise
    return found


def _provenance(folder: SetFolder) -> dict[str, Any]:
    path = folder.path / PROVENANCE
    if not path.exists() or path.stat().st_size > _MAX_PROVENANCE_BYTES:
        return {}
    return parse_json(path.read_bytes(), str(path), REMEDY)


def _measures(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each row of the metric report, by the name of the row."""
    facts = provenance.get("provenance")
    metrics = facts.get("metrics") if isinstance(facts, dict) else None
    rows = metrics.get("rows") if isinstance(metrics, dict) else None
    found: dict[str, Any] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("measure"), str):
            found[row["measure"]] = row.get("value")
    return found


def _rest(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """All but the rows of measures, the checksums and the fixed sentences, which are compared elsewhere or say nothing
    new. Of the report, how the generator was trained."""
    rest = {name: value for name, value in provenance.items() if name in ("network", "provenance")}
    if isinstance(facts := rest.get("provenance"), dict):
        rest["provenance"] = {
            name: value for name, value in facts.items() if name not in ("metrics", "split")
        }
        if isinstance(metrics := facts.get("metrics"), dict):
            rest["run"] = metrics.get("run")
    return rest


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; lists stay values."""
    if not isinstance(value, dict):
        return {name: list(value) if isinstance(value, tuple) else value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{name}.{key}" if name else str(key))
    return found


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Change, ...]:
    names = dict.fromkeys([*first, *second])
    return tuple(
        Change(name, first.get(name), second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    )


def _files(one: SetFolder, two: SetFolder) -> dict[str, tuple[str, ...]]:
    first = {one.name(item): item.sha256 for item in one.objects}
    second = {two.name(item): item.sha256 for item in two.objects}
    return {
        "first": tuple(sorted(first.keys() - second.keys())),
        "second": tuple(sorted(second.keys() - first.keys())),
        "changed": tuple(
            sorted(name for name in first.keys() & second.keys() if first[name] != second[name])
        ),
    }


def _images(one: SetFolder, two: SetFolder) -> Images:
    first, second = labels_of_parquet(one).sha256, labels_of_parquet(two).sha256
    return Images(
        first=len(first),
        second=len(second),
        equal=(Counter(first) & Counter(second)).total(),
        same_place=sum(a == b for a, b in zip(first, second, strict=False)),
    )


def _split(one: SetFolder, two: SetFolder) -> tuple[Change, ...] | None:
    from chestgan_core.publishing.split.table import read_split

    if not all((folder.path / SPLIT).exists() for folder in (one, two)):
        return None
    sides = [{row.series: row.side for row in read_split(folder.path / SPLIT)} for folder in (one, two)]
    return _changes(*sides)
