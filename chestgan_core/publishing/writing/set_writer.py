"""Write a synthetic set into a folder: images from numbered seeds, labels, card, manifest.

In: a generator and a range of seeds. Out: images-0000.tar ..., labels.parquet, README.md, samples.png and
manifest.json. The same generator, seeds and facts give the same bytes, hence the same version. A release writes into a
store in the same way, without the folder (transfer/generated_upload.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chestgan_core.config.experiment import Experiment
from chestgan_core.local.files import replacing
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.levels import Bits
from chestgan_core.publishing.reader.set_folder import LABELS, MANIFEST, SetFolder, parse_set
from chestgan_core.publishing.writing.asked import LayoutSource
from chestgan_core.publishing.writing.contents import (
    ExtraFile,
    FileFacts,
    finish_set,
    plan_set,
    write_samples,
)
from chestgan_core.publishing.writing.image_tars import make_tars, tar_count
from chestgan_core.publishing.writing.labels_file import labels_file
from chestgan_core.training.weights import LoadedGenerator


def write_set(
    generator: LoadedGenerator,
    experiment: Experiment,
    count: int,
    first_seed: int,
    folder: Path,
    provenance: Mapping[str, Any],
    bits: Bits = 8,
    extra_files: Mapping[str, ExtraFile] | None = None,
    tumour_fraction: float | None = None,
    layouts: LayoutSource | None = None,
) -> SetFolder:
    """Generate a set into a folder, under the name of its experiment. Image k comes from seed `first_seed + k`.

    Resolution, window, classes and conditions are those of the experiment inside the generator's file, because the one
    given may have been changed since the training. The manifest is written last: a folder without it is not a set.
    Memory does not grow with the set.

    Args:
        generator: From `load_generator`, on the device that is to compute the images.
        experiment: Gives the set its name.
        count: Number of images, at least 1.
        first_seed: Seed of the first image, at least 0.
        folder: Is made where it is missing; a set in it is replaced.
        provenance: `source` and `source_licence`: title and licence of the training data, as the card prints them.
            `metrics`: the metric report as plain data, if there is one. Everything else is printed on the card, too.
            No times: with them the same set would get another version each time it is written.
        bits: 8 or 16 of each pixel.
        extra_files: Further files of the set: name -> a function of `contents.SetContents` that makes it.
        tumour_fraction: Of the images that are asked to show a tumour, where the generator is told of tumours; by
            default as many as among its training slices.
        layouts: What the images are asked to show; by default drawn from those of the training slices.

    Returns:
        The complete set on disk. Its version is 16 hex digits of everything in it.

    Raises:
        BadInput: The experiment's name cannot be part of a key in the store; a fraction of tumours is asked of a
            generator that is told of none; a layout has a box outside of the image.
        DiskFull: No space is left on the disk of the folder.
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
        >>> ready.facts.window.ends  # HU of level 0 and of the highest
        (-1350.0, 150.0)
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    plan = plan_set(
        generator, experiment, count, first_seed, provenance, bits, extra_files, tumour_fraction, layouts
    )
    tars: dict[str, FileFacts] = {}
    with (
        Progress(f"synthetic set  {plan.facts.name}", total=count, unit="images") as progress,
        labels_file(folder / LABELS) as labels,
    ):
        numbers = range(tar_count(plan.facts))
        made = make_tars(generator, plan.facts, numbers, folder, progress, layouts=plan.layouts, durable=True)
        for tar in made:
            labels.append(tar.rows)
            tars[tar.path.name] = FileFacts(tar.bytes, tar.sha256)
            if tar.number == 0:
                write_samples(tar.path, plan.facts, folder)
    manifest = finish_set(plan, folder, tars, labels.asked)
    with replacing(folder / MANIFEST) as path:
        path.write_bytes(manifest)
    return parse_set(manifest, folder, str(folder / MANIFEST))
