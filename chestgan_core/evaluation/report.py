"""How far a generator's images are from real patients, beside how far real patients are apart.

In: images of held-out patients, synthetic ones, images of other real patients.
Out: a MetricReport. Both sides have the same number of images. What cannot be measured is a row with no value
and the reason.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.atomic import replacing
from chestgan_core.errors import BadInput, NotAvailable
from chestgan_core.evaluation.metric_report import MetricReport, Pictures, RealImages
from chestgan_core.evaluation.page import write_page
from chestgan_core.evaluation.rows import Features, Floor, MetricRow, absent_rows, measured_rows
from chestgan_core.measures.extractors import open_extractor
from chestgan_core.slices.windows import Window
from chestgan_core.sources.datasets import Word

# Fewer images leave no neighbours to speak of.
FEWEST = 8
# Images of each group that the figures show.
SAMPLES = 32


def evaluate(
    held_out: RealImages,
    fake: Tensor,
    *,
    window: Window,
    source_title: str,
    word: Word,
    model_title: str,
    reference: RealImages | None = None,
    extractor_names: Sequence[str] = ("efficientnet-lite0",),
    images: int = 5000,
    seed: int = 0,
    snapshot: str = "",
    device: torch.device | str = "cpu",
    provenance: Mapping[str, Any] | None = None,
) -> MetricReport:
    """Compare synthetic images with those of patients that were not trained on.

    fake: (M, 1, H, W) float32 in [-1, 1]. Both sides get the same number of images, at most `images`, drawn
    by the seed. reference: real images of other patients (those trained on); they give the floor at the same
    number, or fewer where there are fewer. Without it the patients of held_out are cut into two groups.
    snapshot: version of the training set that both are of. word: how both are called; "real" in names here means
    the side that is not synthetic.
    Raises BadInput: sizes that differ, fewer than 8 images on a side, a patient in both real groups.
    """
    _check(held_out, fake, reference, word)
    rng = np.random.default_rng(seed)
    count = min(len(held_out.images), len(fake), images)
    held_out = held_out.some(_draw(len(held_out.images), count, rng))
    fake = fake[_draw(len(fake), count, rng)]
    if reference is not None:
        reference = reference.some(_draw(len(reference.images), min(count, len(reference.images)), rng))
    split = _split(held_out, reference)
    told: list[dict[str, str]] = []
    rows: list[MetricRow] = []
    features: dict[str, Features] = {}
    groups = _groups(held_out, fake, reference)
    for name in extractor_names:
        try:
            extractor = open_extractor(name, device)
        except NotAvailable as error:
            told.append({"name": name, "id": "", "about": f"not available: {error.cause}; {error.remedy}"})
            rows += absent_rows(name, f"{error.cause}; {error.remedy}", count, split, snapshot, seed)
            continue
        told.append({"name": name, "id": extractor.id, "about": extractor.about})
        measured = {
            role: extractor.features(some, label=f"features  {word if role == 'real' else role}")
            for role, some in groups.items()
        }
        features = features or measured
        floor = _floor(held_out, reference, measured, word)
        rows += measured_rows(
            measured["real"], measured["synthetic"], floor, extractor.id, split, snapshot, seed
        )
    return MetricReport(
        source_title=source_title,
        word=word,
        model_title=model_title,
        window=window,
        resolution=fake.shape[-1],
        patients_real=len(set(held_out.patients)),
        rows=tuple(rows),
        extractors=tuple(told),
        provenance={**(provenance or {}), **_versions()},
        pictures=Pictures({role: group[:SAMPLES] for role, group in groups.items()}, groups, features),
    )


def write_report(report: MetricReport, folder: Path) -> list[Path]:
    """Write report.json, report.html (one file, opens offline) and figures/*.png; returns the files.

    report.json comes last: where it is, the report is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = write_page(report, folder)
    path = folder / "report.json"
    told = json.dumps(report.as_json(), indent=2, sort_keys=True, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(told + "\n", encoding="utf-8")
    return [*written, path]


def _floor(
    real: RealImages, reference: RealImages | None, features: dict[str, Features], word: Word
) -> Floor:
    """Two groups of real features of disjoint patients, equally many, and what they are."""
    nothing = features["real"][:0]
    if reference is not None:
        n, others = len(reference.images), len(set(reference.patients))
        if n < FEWEST:
            return Floor(nothing, nothing, f"no floor: only {n} images of other patients")
        less = "" if n == len(real.images) else f"; {n} images each, fewer than in the comparison itself"
        return Floor(
            features["real"][:n], features["other"], f"{word} images of {others} other patient(s){less}"
        )
    patients = len(set(real.patients))
    if patients < 2:
        return Floor(nothing, nothing, "no floor: one patient only, and no images of others")
    first = _half_of_patients(real.patients)
    n = min(int(first.sum()), int((~first).sum()))
    if n < FEWEST:
        return Floor(nothing, nothing, f"no floor: half of the patients have {n} images")
    note = f"{patients} patients in two groups; {n} images each, fewer than in the comparison itself"
    return Floor(features["real"][first][:n], features["real"][~first][:n], note)


def _groups(held_out: RealImages, fake: Tensor, reference: RealImages | None) -> dict[str, Tensor]:
    """Role -> images, as the report and its figures call them."""
    groups = {"real": held_out.images, "synthetic": fake}
    if reference is not None:
        groups["other"] = reference.images
    return groups


def _half_of_patients(patients: Sequence[str]) -> NDArray[np.bool_]:
    """True for the images of about half of the patients: by falling number of images, each to the smaller
    half.
    """
    names, counts = np.unique(np.array(patients), return_counts=True)
    sizes, chosen = [0, 0], set()
    for name, count in sorted(zip(names, counts, strict=True), key=lambda pair: -pair[1]):
        half = int(sizes[0] > sizes[1])
        sizes[half] += count
        if half == 0:
            chosen.add(name)
    return np.array([patient in chosen for patient in patients])


def _split(held_out: RealImages, reference: RealImages | None) -> str:
    count = len(set(held_out.patients))
    if reference is None:
        return f"{count} patient(s); nothing says whether the model was trained on them"
    return f"held-out patients: {count} of {count + len(set(reference.patients))}"


def _draw(available: int, count: int, rng: np.random.Generator) -> list[int]:
    """A random choice of places in random order."""
    return [int(index) for index in rng.permutation(available)[:count]]


def _check(held_out: RealImages, fake: Tensor, reference: RealImages | None, word: Word) -> None:
    called = {"real": f"the {word} images", "synthetic": "the synthetic images", "other": "the other images"}
    sides = _groups(held_out, fake, reference)
    for role, images in sides.items():
        if images.ndim != 4 or images.shape[1:] != fake.shape[1:] or images.shape[1] != 1:
            raise BadInput(
                called[role],
                f"are {tuple(images.shape[1:])}, the synthetic ones {tuple(fake.shape[1:])}",
                "compare images of one size: normalize and generate at the same --size",
            )
    for role in ("real", "synthetic"):
        if len(sides[role]) < FEWEST:
            raise BadInput(
                called[role], f"are only {len(sides[role])}", f"give at least {FEWEST} on each side"
            )
    if reference is not None and (both := set(held_out.patients) & set(reference.patients)):
        raise BadInput(
            called["other"],
            f"share {len(both)} patient(s) with {called['real']}, so their distance is no floor",
            "give images of other patients",
        )


def _versions() -> dict[str, str]:
    names = ("chestgan", "torch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
