"""What a set holds beside its images: the seam for cards, splits and whatever else a release adds, and the manifest.

In: facts of the images, provenance, files that exist already, and functions that make the others. Out: files in a
folder, the version and the manifest. A folder on disk and a release into a store go through here alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.imaging.pictures import draw_boxes, image_grid, png_of
from chestgan_core.local.files import replacing
from chestgan_core.publishing.reader.labels import pairs, read_label
from chestgan_core.publishing.reader.levels import Bits, unit_of
from chestgan_core.publishing.reader.manifest import FORMAT, KIND, SetFacts
from chestgan_core.publishing.reader.png import decode_levels
from chestgan_core.publishing.reader.set_folder import LABELS, SAMPLES
from chestgan_core.publishing.reader.tars import read_member
from chestgan_core.publishing.writing.asked import LayoutSource, conditions_of, drawn_layouts
from chestgan_core.publishing.writing.documents import card_facts, set_documents
from chestgan_core.publishing.writing.provenance import AskedCounts, provenance_from
from chestgan_core.store import keys
from chestgan_core.store.artefacts import StoredObject, canonical_json, content_version, folder_of, sha256_of
from chestgan_core.training.weights import LoadedGenerator

SAMPLE_IMAGES = 64
GRID_COLUMNS, GRID_GAP = 8, 2
FRAMED_PIXELS = 128
"""Per side of an image with frames: of a frame of one pixel around a small image little would be seen."""


@dataclass(frozen=True)
class FileFacts:
    """A file of a set as its manifest will list it. sha256: hex."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class SetContents:
    """What is known of a set when the files beside its images are made.

    network: the section of the experiment, plain data. provenance: as the plan has it. files: name -> size and sha256
    of the tars, labels.parquet, samples.png, and of every file made before this one. samples_png: the picture of the
    first images.
    """

    facts: SetFacts
    network: Mapping[str, Any]
    provenance: Mapping[str, Any]
    files: Mapping[str, FileFacts]
    samples_png: bytes


ExtraFile: TypeAlias = Callable[[SetContents], bytes | Path]
"""Makes the content of one more file of a set, as bytes, or as the path of a large file that is copied. The same
contents must give the same bytes: no times."""


@dataclass(frozen=True)
class SetPlan:
    """A set before it is generated. layouts: what its images are asked to show, None where the generator takes none.
    extra_files: name -> what makes it, in this order. provenance: the fields of provenance.Provenance, plain data."""

    generator: LoadedGenerator
    facts: SetFacts
    provenance: Mapping[str, Any]
    extra_files: Mapping[str, ExtraFile] = field(default_factory=dict)
    layouts: LayoutSource | None = None


def plan_set(
    generator: LoadedGenerator,
    experiment: Experiment,
    count: int,
    first_seed: int,
    provenance: Mapping[str, Any],
    bits: Bits = 8,
    extra_files: Mapping[str, ExtraFile] | None = None,
    tumour_fraction: float | None = None,
    layouts: LayoutSource | None = None,
) -> SetPlan:
    """The plan of a set, as `write_set` describes its arguments.

    Resolution, window, classes and conditions are those of the experiment inside the generator's file, because the one
    given may have been changed since the training. Raises BadInput (the name cannot be part of a key; a fraction of
    tumours, and the generator is told of none), KeyError (the provenance has no `source` or no `source_licence`).
    """
    provenance_from(provenance)  # before the first image, not after the last
    trained = generator.experiment
    window = trained.display_window
    facts = SetFacts(
        name=keys.checked_name(experiment.name),
        experiment=experiment.name,
        images=count,
        first_seed=first_seed,
        resolution=trained.resolution,
        window_centre=window.centre,
        window_width=window.width,
        model_sha256=generator.sha256,
        source_title=provenance["source"],
        source_licence=provenance["source_licence"],
        window_unit=window.unit,
        classes=trained.classes,
        bits=bits,
        conditions=conditions_of(trained),
        tumour_fraction=tumour_fraction,
        layouts="given" if layouts else "drawn",
    )
    asked = layouts or drawn_layouts(generator, tumour_fraction)
    return SetPlan(generator, facts, provenance, dict(extra_files or {}), asked)


def weights_file(path: Path) -> ExtraFile:
    """The generator of a set as one of its files. Its metadata is the experiment that it was trained with, and no more.

    Raises BadInput: it is not the generator that made the images.
    """

    def checked(contents: SetContents) -> Path:
        if sha256_of(path) != contents.facts.model_sha256:
            raise BadInput(path, "is not the generator of the images", "give the one that made them")
        return path

    return checked


def write_samples(tar: Path, facts: SetFacts, folder: Path) -> bytes:
    """samples.png, from the first tar: the first images in rows of eight, as 8-bit grey; returns its bytes.

    Of a set whose images were asked for tumours it is in colour, larger, with a frame around each box.
    """
    units, boxes = [], []
    for k, (image, label) in enumerate(islice(pairs(tar), min(facts.images, SAMPLE_IMAGES))):
        levels = decode_levels(read_member(image), facts.resolution, facts.bits, image.what)
        units.append(unit_of(levels, facts.bits))
        boxes.append(read_label(read_member(label), k, facts, label.what)["boxes"] or [])
    png = png_of(_framed(np.stack(units), boxes) if facts.has_boxes else image_grid(np.stack(units)))
    with replacing(folder / SAMPLES) as path:
        path.write_bytes(png)
    return png


def _framed(units: NDArray[np.float32], boxes: Sequence[Sequence[Sequence[float]]]) -> Image.Image:
    """The grid of images, small ones enlarged by a whole factor, with a frame around each box."""
    size = units.shape[-1]
    scale = max(1, FRAMED_PIXELS // size)
    step = size + GRID_GAP / scale  # from image to image, in their pixels
    placed: list[tuple[float, float, float, float]] = []
    for at, of_image in enumerate(boxes):
        across, down = at % GRID_COLUMNS * step, at // GRID_COLUMNS * step
        placed += [(x0 + across, y0 + down, x1 + across, y1 + down) for x0, y0, x1, y1 in of_image]
    return draw_boxes(image_grid(units, GRID_COLUMNS, scale, GRID_GAP), placed, scale)


def finish_set(plan: SetPlan, folder: Path, tars: Mapping[str, FileFacts], asked: AskedCounts) -> bytes:
    """Write the files beside the images into a folder, and return the manifest of the set.

    In the folder are labels.parquet and samples.png; the tars, name -> size and sha256, may be elsewhere. asked: what
    the labels say. Nothing is a set before the manifest is written, which is left to the caller.
    """
    files = {**tars, **{name: facts_of(folder / name) for name in (LABELS, SAMPLES)}}
    network = plan.generator.experiment.network.model_dump()
    samples = (folder / SAMPLES).read_bytes()
    for name, make in plan.extra_files.items():
        content = make(SetContents(plan.facts, network, plan.provenance, dict(files), samples))
        with replacing(folder / name) as path:
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        files[name] = facts_of(folder / name)
    card = card_facts(plan.facts, network, plan.provenance, files, asked)
    for name, data in set_documents(card, samples).items():
        with replacing(folder / name) as path:
            path.write_bytes(data)
        files[name] = facts_of(folder / name)
    facts = plan.facts.as_json()
    version = content_version(FORMAT, facts, {name: item.sha256 for name, item in files.items()})
    place = folder_of(keys.set_manifest(plan.facts.name, version))
    objects = [
        vars(StoredObject(place + name, item.bytes, item.sha256)) for name, item in sorted(files.items())
    ]
    return canonical_json(
        {
            "kind": KIND,
            "format": FORMAT,
            "set": facts,
            "version": version,
            "objects": objects,
        }
    )


def facts_of(path: Path) -> FileFacts:
    """Size and sha256 of a file on disk."""
    return FileFacts(path.stat().st_size, sha256_of(path))
