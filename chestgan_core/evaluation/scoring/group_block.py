"""What a report says about groups of patients, as data: how well each is covered, and which one worse than the rest.

Out: plain data for JSON, and sentences about it: for the report, and for a published set, which names less.
group_metrics.py fills it. Imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.scoring.tumour_block import Estimate
from chestgan_core.slices.groups import PERSONAL, GroupKind, in_words

FEWEST = 3
"""Patients of a group that is named in a report: with fewer it names people."""
FEWEST_PUBLISHED = 5
"""Patients of a group that is named in a published set, as in its split."""
MAX_PUBLISHED = 5
"""Groups that a published set names, the worst ones."""
OTHERS, UNKNOWN = f"others (groups of fewer than {FEWEST})", "unknown"
WorseBy: TypeAlias = Literal["coverage", "distance"]


@dataclass(frozen=True)
class GroupSide:
    """The images of a group on one side, held out or trained on.

    kid: against the synthetic images; kid_floor: against the images of patients that are not in the group. coverage:
    share of the images that have a synthetic one in their ball. distance: to the nearest synthetic image, relative to
    the nearest image of another patient. All None where there are too few images.
    """

    patients: int
    images: int
    kid: Estimate | None = None
    kid_floor: float | None = None
    coverage: Estimate | None = None
    distance: Estimate | None = None


@dataclass(frozen=True)
class Group:
    """name: a label of slices/groups.py, OTHERS, UNKNOWN; of single patients p1, p2, ..., in random order. train: None
    where fewer than FEWEST patients of the group were trained on.
    """

    name: str
    held_out: GroupSide
    train: GroupSide | None = None


@dataclass(frozen=True)
class Grouping:
    """The groups of one kind: all compared images, but those of fewer than FEWEST patients of whom it is not known. A
    patient may have images in several.
    """

    kind: GroupKind
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Worse:
    """A group that is worse than the rest. p: how often random groups would show a difference as large, among all
    groups and both measures that were compared.
    """

    kind: GroupKind
    name: str
    patients: int
    by: WorseBy
    group: Estimate
    rest: Estimate
    p: float


@dataclass(frozen=True)
class GroupBlock:
    """patients, images: held out. groupings: kinds with at least two groups. single: the patients one by one, as far as
    they have enough images. not_compared: kind of group -> why it has no groups. comparisons: groups times measures
    that were tested. worse: the worst first.
    """

    extractor: str
    image_kind: ImageKind
    patients: int
    images: int
    groupings: tuple[Grouping, ...]
    single: tuple[Group, ...]
    not_compared: dict[str, str]
    comparisons: int
    worse: tuple[Worse, ...]

    @property
    def sentence(self) -> str:
        """The worst group, or that none is shown to be worse."""
        if not self.comparisons:
            return f"No group could be compared: {self._why_none}"
        if not self.worse:
            return f"No group shown to be worse than the rest, among {self._compared}."
        worst = self.worse[0]
        among = f"Random groups show as much with p = {_p(worst.p)}, among {self._compared}."
        return f"Worse than the rest: {in_words(worst.kind, worst.name)}. {_difference(worst)} {among}"

    def published(self, private: bool) -> str:
        """What a published set says: less than the report.

        Of sex and age, of fewer than FEWEST_PUBLISHED patients, and of a private dataset it says the kind of group
        only: in one hospital a scanner, or an age, may be that of a single person.
        """
        if not self.comparisons:
            return ""
        kinds = _listed([one.kind for one in self.groupings])
        if not self.worse:
            return f"No group of held-out patients, by {kinds}, was shown to be covered worse than the rest."
        said = []
        for one in self.worse:
            hidden = private or one.kind in PERSONAL or one.patients < FEWEST_PUBLISHED
            said.append(f"one of the groups by {one.kind}" if hidden else in_words(one.kind, one.name))
        named = list(dict.fromkeys(said))
        if len(named) > MAX_PUBLISHED:
            named = [*named[:MAX_PUBLISHED], f"{len(named) - MAX_PUBLISHED} more"]
        return f"Held-out patients were compared by {kinds}. Shown to be covered worse than the rest: {_listed(named)}."

    @property
    def _compared(self) -> str:
        kinds = _listed([one.kind for one in self.groupings])
        return f"{self.comparisons} comparisons of groups by {kinds}, by coverage and nearest distance"

    @property
    def _why_none(self) -> str:
        few = f"that takes {FEWEST} held-out patients in a group and in the rest, of whom there are {self.patients}"
        return f"{few}."


def _difference(worse: Worse) -> str:
    if worse.by == "coverage":
        group, rest = percent(worse.group), percent(worse.rest)
        return f"A synthetic image is near {group} of their images, and near {rest} of those of the rest."
    return (
        f"The nearest synthetic image is {worse.group.shown()} times as far as the nearest image of another patient,"
        f" for the rest {worse.rest.shown()} times."
    )


def percent(estimate: Estimate) -> str:
    """`12% (5% to 20%)`."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.0%}"
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"


def _p(p: float) -> str:
    return f"{p:.1g}" if p < 0.1 else f"{p:.2f}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
