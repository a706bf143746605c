"""When a number of a card counts as computed again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chestgan_core.evaluation.scoring.as_published import as_published
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.publishing.reader.levels import levels_of, unit_of
from chestgan_core.publishing.reproducing.verdicts import compare, headline


def number(value: float | None, **changes: object) -> MetricRow:
    """A row of KID, with an interval of 0.02 to each side."""
    ends = (None, None) if value is None else (value - 0.02, value + 0.02)
    plain = MetricRow(
        measure="KID", group="distance", better="lower", value=value, sd=None, low=ends[0], high=ends[1],
        floor=0.01, floor_sd=None, floor_n=40, extractor="e:1", n_real=40, n_fake=40, split="", snapshot="",
        seed=0, seconds=0.0, note="not measured: why" if value is None else "", floor_note="",
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def verdict(card: MetricRow, again: MetricRow | None, reason: str = "") -> list[str]:
    found = compare(
        [card], {} if again is None else {("e:1", card.measure): again}, {"e:1": reason} if reason else {}
    )
    return [one.verdict for one in found]


def test_a_number_is_equal_as_printed_or_in_the_interval_or_it_differs() -> None:
    card = number(0.5)
    assert verdict(card, number(0.50004)) == ["equal", "equal"]
    assert verdict(card, number(0.5001)) == ["within the interval", "equal"]
    assert verdict(card, number(0.5201)) == ["differs", "equal"]
    # A floor has the interval of its value around it.
    assert verdict(card, number(0.5, floor=0.0299)) == ["equal", "within the interval"]
    assert verdict(card, number(0.5, floor=0.0301)) == ["equal", "differs"]
    # Without an interval: two images of 40, or two percent.
    bare = number(0.5, measure="coverage", group="manifold", low=None, high=None, floor=None)
    assert verdict(bare, replace(bare, value=0.55)) == ["within the interval"]
    assert verdict(bare, replace(bare, value=0.56)) == ["differs"]
    bare = replace(bare, measure="FID", group="distance", value=50.0)
    assert verdict(bare, replace(bare, value=51.0)) == ["within the interval"]
    assert verdict(bare, replace(bare, value=51.1)) == ["differs"]


def test_a_number_that_was_not_computed_again_is_never_good() -> None:
    assert verdict(number(0.5), None) == ["not recomputed", "not recomputed"]
    assert verdict(number(0.5), number(0.5), "another network") == ["not recomputed", "not recomputed"]
    assert verdict(number(0.5), number(None)) == ["not recomputed", "equal"]
    assert verdict(number(None, floor=None), number(0.5)) == []  # the card has no number
    # And a card that claims one which cannot be measured here has no headline.
    claimed = compare([number(0.5)], {("e:1", "KID"): number(None)}, {})
    first = headline(claimed)
    assert first is not None
    assert (first.verdict, first.why) == ("not recomputed", "why")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_report_scores_images_exactly_as_they_are_read_back_from_a_set(bits: int) -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2.2 - 1.1
    images[0, 0, 0, :4] = torch.tensor([-1.0, 1.0, 0.0, 1 / 255])
    read_back = unit_of(levels_of(images.numpy(), bits), bits)
    assert np.array_equal(as_published(images, bits).numpy(), read_back)
    assert as_published(images, bits).dtype == torch.float32
