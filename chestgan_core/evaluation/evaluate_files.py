"""A metric report on files: what `chestgan evaluate` does.

In: shards of held-out patients, a safetensors file of synthetic slices, shards of other patients, all int16, in HU or
grey levels; the discriminator of the training, for attacks and for the measures of the thesis system. Out: a
MetricReport. The window that maps slices to images is that of the generator, which the synthetic file names.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from chestgan_core.config.dataset import ImageKind
from chestgan_core.errors import BadInput
from chestgan_core.evaluation.scoring.attack_metrics import with_attacks
from chestgan_core.evaluation.scoring.attack_sides import MAX_IMAGES, KnownImages
from chestgan_core.evaluation.scoring.evaluate import compute_features, evaluate, with_thesis
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.provenance import features_of_training, require_others
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.thesis.measuring import RunDiscriminator, ThesisImages
from chestgan_core.imaging.windows import WINDOWS, Unit, Window
from chestgan_core.slices.other_patients import DistinctSlices, slice_digests
from chestgan_core.slices.shards import SliceRow, read_shard, require_slices
from chestgan_core.training.devices import pick_device
from chestgan_core.training.weights import load_discriminator

# Titles of slices that came without one.
UNTITLED: dict[ImageKind, str] = {
    "real": "slices whose source is not stated",
    "phantom": "generated phantom slices",
}
MAX_LEVEL = 1e6  # HU or grey levels
REMEDY = "give a file that chestgan generate has written"


def evaluate_files(
    real: Sequence[Path],
    fake: Path,
    window: Window | None = None,
    extractors: Sequence[str] = ("efficientnet-lite0",),
    seed: int = 0,
    reference: Sequence[Path] = (),
    source_title: str | None = None,
    image_kind: ImageKind = "real",
    device: str = "cpu",
    discriminator: Path | None = None,
) -> MetricReport:
    """Compare synthetic slices with those of patients that the generator was not trained on, all from files.

    Args:
        real: shards of held-out patients, as `chestgan normalize` writes them: (N, S, S) int16, HU or grey levels.
        fake: safetensors file with a tensor `slices` (M, S, S) int16, as `chestgan generate` writes it.
        window: display window; by default the one that `fake` says its generator was trained with, else the lung one.
        extractors: names of extractors, that of the headline first; () measures pixels only.
        seed: of every random draw.
        reference: shards of other real patients (those trained on), for the floor, for memorization, and for attacks
            that try to tell them from those held out.
        source_title: title of the real data, as the report prints it.
        image_kind: "real" or "phantom", the word for the images that are not synthetic.
        device: auto, cpu, cuda, mps or xpu.
        discriminator: folder of the training that made `fake`, or its discriminator.safetensors.

    Returns:
        The report; `as_text()` is a score card, `write_report` makes pages of it.

    Raises:
        BadInput: a file that cannot be used, a window other than the generator's, an extractor on whose features the
            discriminator was trained, or what evaluate() refuses.
        BadCheckpoint: a discriminator that cannot be loaded.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from safetensors.torch import save_file
        >>> from chestgan_core.dicom.pseudonyms import Pseudonyms
        >>> from chestgan_core.slices.normalization import normalize
        >>> from chestgan_core.slices.recipe import NormalizationRecipe
        >>> from chestgan_core.slices.shards import write_shard
        >>> from chestgan_core.sources.phantom.patients import write_phantoms
        >>> folder = Path(mkdtemp())
        >>> patients = write_phantoms(folder / "dicom", patients=2, seed=0, slices=10)
        >>> shard = normalize([folder / "dicom"], NormalizationRecipe(size=32), Pseudonyms()).shard
        >>> write_shard(shard, folder / "real.safetensors")
        >>> save_file({"slices": torch.from_numpy(shard.slices)}, folder / "fake.safetensors")
        >>> report = evaluate_files(
        ...     [folder / "real.safetensors"], folder / "fake.safetensors", extractors=(), image_kind="phantom"
        ... )
        >>> report.row("KS grey levels").value
        0.0
    """
    slices, trained = _read_slices(fake)
    held_out = _read_real(real)
    others = _read_real(reference) if reference else None
    if window is not None and trained is not None and window != trained:
        raise BadInput(
            fake,
            f"was generated with the window {trained}, not {window}, and has no values beyond its own window",
            "leave out the window",
        )
    window = window or trained or WINDOWS["lung"]
    where = pick_device(device)
    loaded = None if discriminator is None else load_discriminator(discriminator, where)
    if loaded and loaded.experiment.display_window != window:
        cause = f"was trained with the window {loaded.experiment.display_window}, not {window}"
        raise BadInput(discriminator, cause, "give the discriminator of the training that made --fake")
    training = features_of_training(loaded.experiment) if loaded else {}
    require_others(extractors, training)
    real_images, images = _to_real(held_out, window), _to_images(slices, window)
    other = _to_real(others, window) if others else None
    report = evaluate(
        real_images,
        images,
        window=window,
        source_title=source_title or UNTITLED[image_kind],
        image_kind=image_kind,
        model_title=f"synthetic slices of {fake.name}",
        reference=other,
        extractors=extractors,
        seed=seed,
        device=where,
        provenance=training,
    )
    run = RunDiscriminator(loaded)
    report = with_thesis(
        report,
        ThesisImages(real_images.images),
        ThesisImages(images),
        None if other is None else ThesisImages(other.images),
        run,
        seed,
    )
    if other is None:
        return report
    return with_attacks(
        report,
        KnownImages(other.images, other.patients),
        KnownImages(real_images.images, real_images.patients),
        discriminator=run,
        features_of=compute_features,
        images=MAX_IMAGES,
        seed=seed,
    )


def _read_real(paths: Sequence[Path]) -> tuple[Tensor, tuple[SliceRow, ...]]:
    """(N, S, S) int16 of all shards, and the row of each slice."""
    slices: list[Tensor] = []
    rows: list[SliceRow] = []
    given = DistinctSlices()
    for path in paths:
        shard = read_shard(path)
        given.add(path, slice_digests([row.patient for row in shard.rows], shard.slices))
        slices.append(torch.from_numpy(shard.slices))
        found, first = slices[-1].shape[-1], slices[0].shape[-1]
        if found != first:
            cause = f"holds {found} x {found} slices, the first file {first} x {first}"
            raise BadInput(path, cause, "normalize all files at one --size")
        rows += shard.rows
    return torch.cat(slices), tuple(rows)


def _to_real(loaded: tuple[Tensor, tuple[SliceRow, ...]], window: Window) -> RealImages:
    slices, rows = loaded
    return RealImages(_to_images(slices, window), tuple(row.patient for row in rows), rows=rows)


def _read_slices(path: Path) -> tuple[Tensor, Window | None]:
    """(N, S, S) int16 of a safetensors file without rows beside it, and the window of its generator if it names one."""
    if not path.is_file():
        raise BadInput(path, "does not exist", REMEDY)
    try:
        with safe_open(path, framework="pt") as file:
            require_slices(file, path)
            metadata = file.metadata() or {}
            slices: Tensor = file.get_tensor("slices")
    except (SafetensorError, OSError) as error:
        raise BadInput(path, f"has no readable tensor `slices` ({error})", REMEDY) from error
    if "generated" not in metadata:
        return slices, None
    try:
        fields = json.loads(metadata["generated"])["window"]
        return slices, _window(fields)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(path, "does not say which window its generator was trained with", REMEDY) from error


def _window(fields: dict[str, Any]) -> Window:
    """Raises ValueError, KeyError, TypeError: not the window of an experiment."""
    centre, width, unit = fields["centre"], fields["width"], fields["unit"]
    if not (isinstance(centre, int | float) and isinstance(width, int | float) and unit in get_args(Unit)):
        raise TypeError("a window has two numbers and a unit")
    if not (abs(centre) <= MAX_LEVEL and 0 < width <= MAX_LEVEL):
        raise ValueError("the window is out of range")
    return Window(float(centre), float(width), unit)


def _to_images(slices: Tensor, window: Window) -> Tensor:
    """(N, S, S) int16 to (N, 1, S, S) float32 in [-1, 1]."""
    unit: Tensor = window.to_unit(slices)
    return unit[:, None]
