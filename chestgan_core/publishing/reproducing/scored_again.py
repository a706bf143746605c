"""The images of a set against the real side, scored as the report of its card did.

In: the set, the rows of its card, the real images of both sides. Out: rows, or why there are none. Nothing is allocated
before the numbers of the card were checked: the set may be anybody's.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chestgan_core.errors import BadInput, NotAvailable
from chestgan_core.evaluation.scoring.as_published import as_published
from chestgan_core.evaluation.scoring.metric_rows import APART, PIXELS, MetricRow
from chestgan_core.publishing.reader.levels import unit_of
from chestgan_core.publishing.reader.set_folder import GENERATOR, SetFolder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.split.row import SplitRow
from chestgan_core.publishing.writing.asked import layouts_again
from chestgan_core.publishing.writing.instructions import Instructions
from chestgan_core.publishing.writing.provenance import Metrics, PublishedRow
from chestgan_core.slices.splits import HELD_OUT, TRAIN

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.evaluation.scoring.sides import RealImages


NOT_AGAIN = "measures of tumours and of synthetic patients, and attacks, are not computed again"


def not_comparable(folder: SetFolder, metrics: Metrics, rows: Sequence[SplitRow]) -> str:
    """Why the images of the set are not those that were scored, or empty."""
    measured = _of_images(metrics)
    if not measured:
        return "the card has no number about images alone"
    first, facts = measured[0], folder.facts
    if {(row.seed, row.n_fake) for row in measured} != {(first.seed, first.n_fake)}:
        return "the rows of the card are not of one comparison"
    count = first.n_fake
    # Before anything is allocated: a report scores as many images as there are held-out slices, at most.
    if (
        not 0 < count <= sum(row.slices for row in rows if row.side == HELD_OUT)
        or not 0 <= first.seed < 2**63
    ):
        return f"the card is about {count} images, drawn by the seed {first.seed}, which no report is"
    if count > facts.images and not _has_weights(folder):
        return f"the card is about {count} images, and the set has {facts.images} and no generator"
    seeds = metrics.provenance.get("seeds")
    if seeds is not None and seeds != f"{facts.first_seed} to {facts.first_seed + count - 1}":
        return f"the card is about the images of the seeds {str(seeds)[:40]}, which are others than the set's"
    bits = metrics.provenance.get("bits of a pixel", f"{facts.bits}")
    if bits != f"{facts.bits}":
        return f"the card is about images of {str(bits)[:10]} bits, and those of the set have {facts.bits}"
    return ""


def scored(
    folder: SetFolder,
    metrics: Metrics,
    instructions: Instructions,
    sides: "dict[str, RealImages]",
    device: str,
) -> tuple[dict[tuple[str, str], MetricRow], dict[str, str]]:
    """(extractor, measure) -> row, and extractor or measure -> why it has none."""
    from chestgan_core.evaluation.scoring.evaluate import evaluate
    from chestgan_core.metrics.feature_extractors import Extractor, open_extractor
    from chestgan_core.training.devices import pick_device

    measured = _of_images(metrics)
    first, where = measured[0], pick_device(device)
    extractors: list[Extractor] = []
    reasons: dict[str, str] = {}
    for extractor_id in dict.fromkeys(row.extractor for row in measured if row.extractor != PIXELS):
        name = _extractor_name(extractor_id)
        if not name:
            reasons[extractor_id] = "this version of chestgan has no such extractor"
            continue
        try:
            found = open_extractor(name, where, folder.facts.window)
        except NotAvailable as error:
            reasons[extractor_id] = f"{error.cause}; {error.remedy}"
            continue
        if found.id != extractor_id:
            reasons[extractor_id] = f"the extractor here is {found.id}"
            continue
        extractors.append(found)
    fake, classes = _images(folder, first.n_fake, where)
    try:
        report = evaluate(
            sides[HELD_OUT],
            fake,
            window=folder.facts.window,
            source_title=folder.facts.source_title,
            image_kind=instructions.image_kind,
            model_title=folder.facts.name,
            reference=sides[TRAIN],
            fake_classes=classes,
            extractors=extractors,
            images=first.n_fake,
            seed=first.seed,
            snapshot=instructions.training_set,
            device=where,
        )
    except BadInput as error:  # too few images of a side are there
        return {}, {"": f"{error.what} {error.cause}"}
    if classes and not sides[HELD_OUT].classes:
        unnamed = "the split does not name the classes of all held-out patients"
        reasons |= {row.measure: unnamed for row in measured if row.group == "utility"}
    # They need the boxes of real patients, which no set publishes, and detectors that were trained on them; and attacks
    # need the discriminator, which stays with the run.
    reasons |= {row.measure: NOT_AGAIN for row in metrics.rows if row.group in APART}
    return {(row.extractor, row.measure): row for row in report.rows}, reasons


def _of_images(metrics: Metrics) -> list[PublishedRow]:
    """The rows that have a value and need no annotation of patients."""
    return [row for row in metrics.rows if row.value is not None and row.group not in APART]


def _images(folder: SetFolder, count: int, device: Any) -> "tuple[Tensor, tuple[str, ...]]":
    """The first images, (count, 1, R, R) float32 in [-1, 1], and the class of each."""
    import torch

    facts, reader = folder.facts, SetReader(folder)
    classes = tuple(facts.class_of(k) for k in range(count)) if facts.classes else ()
    if count > facts.images:
        from chestgan_core.training.generation import generate
        from chestgan_core.training.weights import load_generator

        generator = load_generator(folder.path / GENERATOR, device)
        seeds = range(facts.first_seed, facts.first_seed + count)
        made = generate(generator, seeds, layouts_again(generator, facts, reader, seeds))
        return as_published(made, facts.bits), classes
    images = torch.empty(count, 1, facts.resolution, facts.resolution)
    for k in range(count):
        images[k, 0] = torch.from_numpy(unit_of(reader.levels(k), facts.bits))
    return images, classes


def _extractor_name(extractor_id: str) -> str:
    """The name by which an extractor is opened; empty: none begins like this id."""
    from chestgan_core.metrics.feature_extractors import EXTRACTORS

    return next((name for name in EXTRACTORS if extractor_id.startswith(name)), "")


def _has_weights(folder: SetFolder) -> bool:
    return any(folder.name(item) == GENERATOR for item in folder.objects)
