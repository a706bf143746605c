"""All experiments at a glance, as data: groups of comparable reports, each with its ranks and ties.

In: the newest reports. Out: a Leaderboard. Reports that are not comparable are in different groups and never ranked
together; scoring/standing.py says what a rank is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chestgan_core.evaluation.leaderboard.entries import Entry, Unreadable, newest_entries
from chestgan_core.evaluation.pages.nearest import nearest_notice
from chestgan_core.evaluation.scoring.provenance import RunFacts
from chestgan_core.evaluation.scoring.read_report import comparison_facts, comparison_key
from chestgan_core.evaluation.scoring.standing import Place, opinions, standing, trained_against
from chestgan_core.local.prices import Prices
from chestgan_core.store.store import Store

# The measures of a line, as far as a report has them. Of KID and coverage every extractor's.
DIVERSITY = ("pairwise distance", "nearest other distance")
ATTACKS = "attack AUC"
MEASURES = ("KID", "coverage", *DIVERSITY, ATTACKS)


@dataclass(frozen=True)
class Group:
    """Reports that can be compared, at their places. number: from 1, of its table. facts: what all have in common."""

    number: int
    places: tuple[Place[Entry], ...]
    facts: Mapping[str, str]

    @property
    def entries(self) -> list[Entry]:
        """In the order of their places."""
        return [one.report for one in self.places]

    @property
    def extractors(self) -> list[str]:
        """All that measured a KID, the one that counts first."""
        first = [row.extractor for one in self.entries if (row := one.row("KID"))]
        named = [name for one in self.entries for name in opinions(one.payload, "KID")]
        return list(dict.fromkeys([*first, *named]))

    @property
    def headline(self) -> str:
        """Who is nearest, or why nobody is named."""
        return nearest_notice(self.entries).title if len(self.places) > 1 else "nothing to compare with"

    def apart(self, other: "Group") -> str:
        """What keeps the reports of two groups apart: `resolution: 128 pixels, not 64 pixels`."""
        return "; ".join(
            f"{what.removeprefix('The ')}: {value}, not {other.facts[what]}"
            for what, value in self.facts.items()
            if value != other.facts[what]
        )


@dataclass(frozen=True)
class Leaderboard:
    """groups: the largest first. trained, untrained: experiments without a report. prices: of an hour."""

    groups: tuple[Group, ...]
    unreadable: tuple[Unreadable, ...]
    trained: tuple[str, ...]
    untrained: tuple[str, ...]
    prices: Prices

    @property
    def entries(self) -> list[Entry]:
        """All that could be read, by group and place."""
        return [entry for group in self.groups for entry in group.entries]

    def price_of(self, run: RunFacts) -> str:
        """`0.42 EUR`: of one GPU, or of one core, for as long as the training took; "" where no price is set."""
        hours = run.seconds / 3600
        price = self.prices.of(0.0, hours) if run.device == "cpu" else self.prices.of(hours, 0.0)
        if price is None:
            return ""
        return f"{price:.2f} {self.prices.currency}" if price >= 1 else f"{price:.2g} {self.prices.currency}"

    def as_json(self) -> dict[str, Any]:
        """Plain data for leaderboard.json; it decides the version."""
        return {
            "kind": "leaderboard",
            "groups": [
                {
                    "facts": dict(group.facts),
                    "headline": group.headline,
                    "experiments": [self._line(place) for place in group.places],
                }
                for group in self.groups
            ],
            "unreadable": [asdict(one) for one in self.unreadable],
            "trained_without_report": list(self.trained),
            "untrained": list(self.untrained),
        }

    def _line(self, place: Place[Entry]) -> dict[str, Any]:
        one, run = place.report, place.report.payload.run
        return {
            "experiment": one.name,
            "rank": place.rank,
            "tied": place.tied,
            "not_ranked": place.why,
            "trained_against": trained_against(one.payload),
            "gate": one.payload.gate.as_json(),
            "rows": [asdict(row) for row in one.payload.rows if row.measure in MEASURES],
            "images_seen": run.images_seen,
            "seconds": run.seconds,
            "device": run.device,
            "price": self.price_of(run),
            "committed": one.day,
            "report": {"run": run.run, "version": one.version},
        }


def read_leaderboard(store: Store, known: Iterable[str], prices: Prices | None = None) -> Leaderboard:
    """The newest report of every experiment. known: names of experiments that are listed without one, too.

    Raises StoreError: the store does not answer. What cannot be read is listed.
    """
    newest = newest_entries(store, known)
    found: dict[tuple[str, ...], list[Entry]] = {}
    for one in newest.entries:
        found.setdefault(comparison_key(one.payload), []).append(one)
    ordered = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    groups = tuple(
        Group(number, tuple(standing(entries)), comparison_facts(entries[0].payload))
        for number, (_, entries) in enumerate(ordered, 1)
    )
    return Leaderboard(groups, newest.unreadable, newest.trained, newest.untrained, prices or Prices())
