"""Write a synthetic set into a folder: images from numbered seeds, labels, card, manifest.

In: a generator and a range of seeds. Out: images-0000.tar ..., labels.parquet, README.md, samples.png and
manifest.json. The same generator, seeds and facts give the same bytes, hence the same version.
"""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from chestgan_core.config.experiment import Experiment
from chestgan_core.imaging.pictures import image_grid, png_of, save_png, to_grey
from chestgan_core.local.files import replacing
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.labels import LabelRow, write_labels
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import CARD, LABELS, MANIFEST, SAMPLES, SetFolder, parse_set
from chestgan_core.publishing.reader.tars import add_file
from chestgan_core.publishing.writing.card import write_card
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_version, folder_of, sha256_of
from chestgan_core.training.generation import class_of, generate, generate_stream
from chestgan_core.training.weights import LoadedGenerator

SAMPLE_IMAGES = 64
IMAGES_PER_TAR = 1000


def write_set(
    generator: LoadedGenerator,
    experiment: Experiment,
    count: int,
    first_seed: int,
    folder: Path,
    provenance: Mapping[str, Any],
) -> SetFolder:
    """Generate a set into a folder, under the name of its experiment. Image k comes from seed `first_seed + k`.

    Resolution, window and classes are those of the experiment inside the generator's file, because the one given may
    have been changed since the training. The manifest is written last: a folder without it is not a set. Memory grows
    with the images of one tar (1000), not with the set.

    Args:
        generator: From `load_generator`, on the device that is to compute the images.
        experiment: Gives the set its name.
        count: Number of images, at least 1.
        first_seed: Seed of the first image, at least 0.
        folder: Is made where it is missing; a set in it is replaced.
        provenance: `source` and `source_licence`: title and licence of the training data, as the card prints them.
            `metrics`: the metric report as plain data, if there is one. Everything else is printed on the card, too.
            No times: with them the same set would get another version each time it is written.

    Returns:
        The complete set on disk. Its version is 16 hex digits of everything in it.

    Raises:
        BadInput: The experiment's name cannot be part of a key in the store.
        KeyError: The provenance has no `source` or no `source_licence`.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.config.experiment import load_experiment
        >>> from chestgan_core.publishing.writing.set_writer import write_set
        >>> from chestgan_core.training.weights import load_generator
        >>> provenance = {"source": "generated phantom images", "source_licence": "none needed"}
        >>> generator = load_generator(Path("model"))  # the folder that `chestgan train` wrote
        >>> ready = write_set(generator, load_experiment("demo"), 20, 0, Path("new-set"), provenance)
        >>> ready.images, ready.facts.resolution  # images, pixels
        (20, 64)
        >>> ready.facts.window.ends  # HU of grey 0 and of grey 255
        (-1350.0, 150.0)
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
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
    )
    names = _write_images(generator, range(first_seed, first_seed + count), folder, facts.name)
    card = write_card(facts, trained.network.model_dump(), provenance)
    with replacing(folder / CARD) as path:
        path.write_text(card, encoding="utf-8")
    first = generate(generator, range(first_seed, first_seed + min(count, SAMPLE_IMAGES)))
    save_png(image_grid(first), folder / SAMPLES)
    return _seal(folder, facts, sorted([*names, CARD, SAMPLES]))


def _write_images(generator: LoadedGenerator, seeds: range, folder: Path, label: str) -> list[str]:
    """The tars and labels.parquet; returns their names."""
    images = generate_stream(generator, seeds)
    labels: list[LabelRow] = []
    names = []
    with Progress(f"synthetic set  {label}", total=len(seeds), unit="images") as progress:
        for start in range(0, len(seeds), IMAGES_PER_TAR):
            buffer = io.BytesIO()
            name = f"images-{start // IMAGES_PER_TAR:04d}.tar"
            with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
                for index in range(start, min(start + IMAGES_PER_TAR, len(seeds))):
                    png = png_of(Image.fromarray(to_grey(next(images)[None])[0]))
                    file = f"{index:06d}.png"
                    add_file(archive, file, png)
                    labels.append(
                        {
                            "index": index,
                            "seed": seeds[index],
                            "class": class_of(seeds[index], generator.experiment),
                            "tar": name,
                            "file": file,
                            "sha256": hashlib.sha256(png).hexdigest(),
                        }
                    )
                    progress.step()
            with replacing(folder / name) as path:
                path.write_bytes(buffer.getvalue())
            names.append(name)
    write_labels(labels, folder / LABELS)
    return [*names, LABELS]


def _seal(folder: Path, facts: SetFacts, names: list[str]) -> SetFolder:
    """Derive the version from the content and write the manifest."""
    sizes = {name: (folder / name).stat().st_size for name in names}
    digests = {name: sha256_of(folder / name) for name in names}
    version = content_version(facts.as_json(), digests)
    place = folder_of(keys.set_manifest(facts.name, version))
    objects = [{"key": f"{place}{name}", "bytes": sizes[name], "sha256": digests[name]} for name in names]
    manifest = {"kind": "synthetic-set", "set": facts.as_json(), "version": version, "objects": objects}
    data = canonical_json(manifest)
    with replacing(folder / MANIFEST) as path:
        path.write_bytes(data)
    return parse_set(data, folder, str(folder / MANIFEST))
