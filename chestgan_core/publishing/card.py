"""The card of a synthetic set: README.md for people, the same facts in the manifest for programs.

In: facts as data. Out: Markdown. The card says what the images are and are not; it never claims that no
information on training patients can be recovered.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.evaluation.pages.sentences import cautions
from chestgan_core.evaluation.scoring.metric_report import BETTER
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.imaging.windows import Unit, Window


@dataclass(frozen=True)
class SetFacts:
    """What is true of a set, as the manifest holds it.

    window_centre, window_width: in window_unit; grey 0 is the lower end, grey 255 the upper. model_sha256: of the
    generator. classes: what the images were asked to show, in turns: seed k is of class k modulo their number.
    """

    name: str
    experiment: str
    images: int
    first_seed: int
    resolution: int
    window_centre: float
    window_width: float
    model_sha256: str
    source_title: str
    source_licence: str
    window_unit: Unit = "HU"
    classes: tuple[str, ...] = ()

    @property
    def window(self) -> Window:
        """The window through which the training data were seen."""
        return Window(self.window_centre, self.window_width, self.window_unit)

    @property
    def images_of_classes(self) -> dict[str, int]:
        """How many images each class has, in the order of the classes."""
        several = len(self.classes)
        seeds = range(self.first_seed, self.first_seed + self.images)
        return {
            name: len(seeds[(at - seeds[0]) % several :: several]) for at, name in enumerate(self.classes)
        }

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def write_card(facts: SetFacts, network: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """The card as Markdown. network: the experiment's fields on the network, printed as given.

    provenance: `metrics` is the metric report as plain data, of which the rows, their cautions and the word
    for the training data are told; `source` and `source_licence` are in the facts already; everything else is
    printed as given.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 (Markdown)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    low, high = facts.window.ends
    metrics = provenance.get("metrics", {})
    rows = [MetricRow(**row) for row in metrics.get("rows", ())]
    known = ("metrics", "source", "source_licence")
    return environment.get_template("card.md.j2").render(
        facts=facts,
        histologies=HISTOLOGIES if facts.window_unit == "HU" else {},
        network=network,
        provenance={name: value for name, value in provenance.items() if name not in known},
        rows=rows,
        better=BETTER,
        tested_for_copies=any(row.measure == "memorized share" and row.value is not None for row in rows),
        image_kind=metrics.get("image_kind"),
        cautions=cautions(rows, metrics["patients_real"], metrics["image_kind"]) if rows else (),
        low=f"{low:g}",
        high=f"{high:g}",
    )
