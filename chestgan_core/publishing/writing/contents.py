"""What a set holds beside its images: the seam for cards, splits and whatever else a release adds, and the manifest.

In: facts of the images, provenance, files that exist already, and functions that make the others. Out: files in a
folder, the version and the manifest. A folder on disk and a release into a store go through here alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.imaging.pictures import image_grid, png_of
from chestgan_core.local.files import replacing
from chestgan_core.publishing.reader.labels import png_name
from chestgan_core.publishing.reader.levels import Bits, unit_of
from chestgan_core.publishing.reader.manifest import FORMAT, KIND, SetFacts
from chestgan_core.publishing.reader.png import decode_levels
from chestgan_core.publishing.reader.set_folder import LABELS, SAMPLES
from chestgan_core.publishing.reader.tars import members, read_member
from chestgan_core.publishing.writing.documents import card_facts, set_documents
from chestgan_core.publishing.writing.provenance import provenance_from
from chestgan_core.store import keys
from chestgan_core.store.artefacts import StoredObject, canonical_json, content_version, folder_of, sha256_of
from chestgan_core.training.weights import LoadedGenerator

SAMPLE_IMAGES = 64


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
    """A set before it is generated. extra_files: name -> what makes it, in this order. provenance: the fields of
    provenance.Provenance, plain data."""

    generator: LoadedGenerator
    facts: SetFacts
    provenance: Mapping[str, Any]
    extra_files: Mapping[str, ExtraFile] = field(default_factory=dict)


def plan_set(
    generator: LoadedGenerator,
    experiment: Experiment,
    count: int,
    first_seed: int,
    provenance: Mapping[str, Any],
    bits: Bits = 8,
    extra_files: Mapping[str, ExtraFile] | None = None,
) -> SetPlan:
    """The plan of a set, as `write_set` describes its arguments.

    Resolution, window and classes are those of the experiment inside the generator's file, because the one given may
    have been changed since the training. Raises BadInput (the name cannot be part of a key), KeyError (the provenance
    has no `source` or no `source_licence`).
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
    )
    return SetPlan(generator, facts, provenance, dict(extra_files or {}))


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
    """samples.png, from the first tar: the first images in rows of eight, as 8-bit grey; returns its bytes."""
    wanted = {png_name(k) for k in range(min(facts.images, SAMPLE_IMAGES))}
    units = [
        unit_of(decode_levels(read_member(one), facts.resolution, facts.bits, one.what), facts.bits)
        for one in members(tar)
        if one.name in wanted
    ]
    png = png_of(image_grid(np.stack(units)))
    with replacing(folder / SAMPLES) as path:
        path.write_bytes(png)
    return png


def finish_set(plan: SetPlan, folder: Path, tars: Mapping[str, FileFacts]) -> bytes:
    """Write the files beside the images into a folder, and return the manifest of the set.

    In the folder are labels.parquet and samples.png; the tars, name -> size and sha256, may be elsewhere. Nothing is a
    set before the manifest is written, which is left to the caller.
    """
    files = {**tars, **{name: facts_of(folder / name) for name in (LABELS, SAMPLES)}}
    network = plan.generator.experiment.network.model_dump()
    samples = (folder / SAMPLES).read_bytes()
    for name, make in plan.extra_files.items():
        content = make(SetContents(plan.facts, network, plan.provenance, dict(files), samples))
        with replacing(folder / name) as path:
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        files[name] = facts_of(folder / name)
    for name, data in set_documents(card_facts(plan.facts, network, plan.provenance, files), samples).items():
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
