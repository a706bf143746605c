"""Say whose an image is: set, version, number, seed, class, model; and whether the model makes it again.

In: a file, a store. Out: `Whose`. What a file says of itself is only a claim: its pixels are looked up in the published
sets, and the image is made again.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chestgan_core.escaping import escaped
from chestgan_core.publishing.whose.given import Given, read_given
from chestgan_core.publishing.whose.made_again import Compared, make_again
from chestgan_core.publishing.whose.places import Places, claimed_entry, find_places
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class Whose:
    """What is known of a file.

    by: "sha256" where a published set lists these very pixels, "metadata" where only the file says so, "" where nothing
    does. set, version, index, seed, shown, model_sha256: of the image, empty or None where nothing is known. status:
    what the publisher says of the version, with what to use instead; empty for one that may be used. claim: what the
    file says that its pixels do not. also: further versions that list the image, unread: such as could not be looked
    through, both `<set>/<version>`.
    """

    file: str
    kind: str
    by: str
    compared: Compared
    set: str = ""
    version: str = ""
    index: int | None = None
    seed: int | None = None
    shown: str = ""
    model_sha256: str = ""
    status: str = ""
    claim: str = ""
    also: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain data; exit_status 0 where the model makes the image again, else 1."""
        data = {name: value for name, value in asdict(self).items() if name not in ("shown", "compared")}
        again: dict[str, Any] = {"verdict": self.compared.verdict, "device": self.compared.device}
        again |= {"largest_difference": self.compared.largest, "pixels_that_differ": self.compared.pixels}
        return {
            **data,
            "class": self.shown,
            "made_again": again,
            "exit_status": 0 if self.by and self.compared.confirmed else 1,
        }

    def line(self) -> str:
        """For people: whose it is, what its publisher says, whether it was made again."""
        lines = [self._origin()]
        lines += [self.claim] if self.claim else []
        lines += [self.status] if self.status else []
        lines += [f"also in {', '.join(self.also)}"] if self.also else []
        lines += (
            [f"could not look through {', '.join(self.unread)}"]
            if self.unread and self.by != "sha256"
            else []
        )
        lines += [self._made_again()] if self.by else []
        return "\n".join(map(escaped, lines))

    def _origin(self) -> str:
        if not self.by:
            return f"{self.file}: no set of this store lists such an image, and the file does not say whose it is"
        shown = f", class {self.shown}" if self.shown else ""
        image = f"image {self.index} of set {self.set}, version {self.version}, seed {self.seed}{shown}"
        source = (
            "found by its pixels"
            if self.by == "sha256"
            else "as the file says; no set of this store lists it"
        )
        return f"{self.file}: {image}, model {self.model_sha256[:16]} ({source})"

    def _made_again(self) -> str:
        found = self.compared
        match found.verdict:
            case "same":
                return f"made again by the model on {found.device}: the same, every level"
            case "close":
                return (
                    f"made again by the model on {found.device}: {found.pixels:,} pixels differ, by at most one grey "
                    "level of 256, as on another kind of device"
                )
            case "other":
                return (
                    f"made again by the model on {found.device}: ANOTHER image; {found.pixels:,} pixels differ, "
                    f"by up to {found.largest} levels"
                )
        return "not made again: the generator is not in this store"


def whose(store: Store, path: Path, device: str = "auto") -> Whose:
    """Whose the image of a file is.

    Args:
        store: Whose sets are looked through, and whose generators make the image again.
        path: A PNG of a set, or a DICOM file that `export_dicom` wrote.
        device: Where the image is made again, as pick_device takes it.

    Returns:
        What is known.

    Raises:
        BadInput, DamagedObject: The file is neither of the two, damaged, or too large.
        BadCheckpoint: The stored generator is of another version of chestgan, or damaged.
        StoreError: The store refused, or did not answer.
    """
    given = read_given(path)
    places = find_places(store, given)
    return (
        _published(store, given, places, device) if places.found else _claimed(store, given, places, device)
    )


def _published(store: Store, given: Given, places: Places, device: str) -> Whose:
    facts = given.facts
    ours = [
        one
        for one in places.found
        if facts and (one.entry.name, one.entry.version) == (facts.set, facts.version)
    ]
    place = (ours or list(places.found))[0]
    entry = place.entry
    levels = given.levels[place.bits]
    claim = ""
    if facts and (
        not ours
        or (facts.index, facts.seed, facts.model_sha256) != (place.index, place.seed, entry.model_sha256)
    ):
        said = f"image {facts.index} of set {facts.set}, version {facts.version}, seed {facts.seed}"
        claim = f"the file says that it is {said}"
    return Whose(
        file=str(given.path),
        kind=given.kind,
        by="sha256",
        compared=make_again(store, entry.model_sha256, place.seed, place.layout, levels, place.bits, device),
        set=entry.name,
        version=entry.version,
        index=place.index,
        seed=place.seed,
        shown=place.shown,
        model_sha256=entry.model_sha256,
        status=_status(entry.state, entry.reason, entry.replacement),
        claim=claim,
        also=tuple(f"{one.entry.name}/{one.entry.version}" for one in places.found if one is not place),
        unread=places.unread,
    )


def _claimed(store: Store, given: Given, places: Places, device: str) -> Whose:
    facts = given.facts
    if facts is None:
        return Whose(str(given.path), given.kind, "", Compared("unknown"), unread=places.unread)
    entry = claimed_entry(store, given)
    claim = (
        ""
        if facts.sha256 == given.sha256.get(facts.bits)
        else "its pixels were changed since it was exported"
    )
    levels = given.levels.get(facts.bits)
    compared = Compared("unknown")
    if levels is not None:
        compared = make_again(store, facts.model_sha256, facts.seed, facts.layout, levels, facts.bits, device)
    return Whose(
        file=str(given.path),
        kind=given.kind,
        by="metadata",
        compared=compared,
        set=facts.set,
        version=facts.version,
        index=facts.index,
        seed=facts.seed,
        shown=facts.shown,
        model_sha256=facts.model_sha256,
        status=_status(entry.state, entry.reason, entry.replacement) if entry else "",
        claim=claim,
        unread=places.unread,
    )


def _status(state: str, reason: str, replacement: str) -> str:
    if state == "published":
        return ""
    instead = f"; use {replacement} instead" if replacement else ""
    return f"{state.upper()}: {reason}{instead}"
