"""Generated images without a set around them: one safetensors file in HU or grey levels, or a folder of PNG.

In: a generator and what it is asked for. Out: FILE.safetensors with tensor `slices` (N, R, R) int16, or
FOLDER/seed-000000.png; of a generator that is told more than a seed, beside them what each image was asked to show, as
CSV of layouts (FILE.csv, FOLDER/layouts.csv), from which the same images are made again. Memory does not grow with the
number of images; the room on the disk is checked first.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.imaging.pictures import png_of, to_grey
from chestgan_core.layouts.csv_layouts import COLUMNS, write_csv
from chestgan_core.layouts.gathering import NamedLayout
from chestgan_core.local.files import file_error, open_regular, replacing, require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.local.progress import Progress
from chestgan_core.metrics.pairs import locality
from chestgan_core.publishing.asked_images import AskedImages, pair_stream
from chestgan_core.slices.shards import GENERATED, require_replaceable
from chestgan_core.training.generation import generate_stream, require_seeds
from chestgan_core.training.weights import LoadedGenerator

SAFETENSORS, LAYOUTS = ".safetensors", "layouts.csv"
_PNG_BYTES = 100  # of a PNG without its pixels
_ANOTHER_DISK = "give a smaller --count, or --out on another disk"


def write_images(
    generator: LoadedGenerator, seeds: Sequence[int], out: Path, asked: AskedImages | None = None
) -> dict[str, Any]:
    """Write one image per seed and return what was written, as plain data.

    Args:
        generator: From `load_generator`.
        seeds: 0 to 2^32 - 1, counting up, or those of `asked`, which were checked with it.
        out: A name that ends in .safetensors, or a folder, which is made where it is missing.
        asked: What the images show, of these seeds; by default they are asked for nothing but their seed.

    Returns:
        Where, how many, first seed, resolution, experiment, sha256 of the generator, window.

    Raises:
        BadInput: Another file name, a file or folder that holds something else, a seed out of range.
        DiskFull: The disk has no room for so many images.
    """
    asked = asked or AskedImages(seeds)
    require_seeds(seeds)
    written = _facts(generator, asked, out)
    with Progress(f"generate  {generator.experiment.name}", total=len(asked), unit="images") as progress:
        images = _counted(generate_stream(generator, asked.seeds, asked.layouts()), progress)
        _write(generator, asked, images, written, out)
    return written


def write_pairs(generator: LoadedGenerator, pairs: AskedImages, out: Path) -> dict[str, Any]:
    """Write the images of pairs (`asked_images.asked_pairs`), with the tumour and without in turn.

    Returns:
        As write_images, and `change`: the mean absolute difference of a pixel of a pair in the tumours' boxes and
        outside of them, in the unit of the window, and `locality`, the second over the first: 0 where only the tumours
        differ.

    Raises:
        BadInput, DiskFull: As write_images.
    """
    written = _facts(generator, pairs, out)
    per_unit = generator.experiment.display_window.width / 2
    sums = [0.0, 0.0]

    def images() -> Iterator[Tensor]:
        for shown, without, layout in pair_stream(generator, pairs):
            change = locality(shown[None], without[None], [layout.boxes or ()])
            sums[0] += float(change.inside[0])
            sums[1] += float(change.outside[0])
            yield shown
            yield without

    with Progress(f"generate  {generator.experiment.name}", total=len(pairs), unit="images") as progress:
        _write(generator, pairs, _counted(images(), progress), written, out)
    inside, outside = (total * per_unit / (len(pairs) / 2) for total in sums)
    written["change"] = {"inside": inside, "outside": outside}
    written["locality"] = outside / inside if inside else None
    return written


def _facts(generator: LoadedGenerator, asked: AskedImages, out: Path) -> dict[str, Any]:
    experiment = generator.experiment
    return {
        "out": str(out),
        "images": len(asked),
        "first_seed": asked.seeds[0],
        "resolution": experiment.resolution,
        "experiment": experiment.name,
        "model_sha256": generator.sha256,
        "window": asdict(experiment.display_window),
    }


def _write(
    generator: LoadedGenerator,
    asked: AskedImages,
    images: Iterator[Tensor],
    written: dict[str, Any],
    out: Path,
) -> None:
    if out.suffix == SAFETENSORS and not out.is_dir():
        facts = {name: value for name, value in written.items() if name != "out"}
        _write_slices(generator, asked, images, facts, out)
    elif out.suffix and not out.is_dir():
        raise BadInput(
            out, "is neither a .safetensors file nor a folder", "give FILE.safetensors or a folder"
        )
    else:
        _write_pngs(generator, asked, images, out)


def _counted(images: Iterator[Tensor], progress: Progress) -> Iterator[Tensor]:
    for image in images:
        yield image
        progress.step()


def _write_slices(
    generator: LoadedGenerator,
    asked: AskedImages,
    images: Iterator[Tensor],
    facts: dict[str, Any],
    out: Path,
) -> None:
    """The file that safetensors would write, image by image: safetensors takes only what is in memory."""
    count, size, window = len(asked), generator.experiment.resolution, generator.experiment.display_window
    require_replaceable(out)
    labels = out.with_suffix(".csv")
    if asked.layouts_of is not None:
        require_own_csv(labels)
    require_space([(out.parent, count * size * size * 2, _ANOTHER_DISK)])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as path, path.open("wb") as file:
            file.write(header((count, size, size), {GENERATED: json.dumps(facts, sort_keys=True)}))
            for image in images:
                file.write(window.from_unit(image)[0].numpy().tobytes())
        if asked.layouts_of is not None:
            write_labels(asked.labels(), labels)
    except OSError as error:
        raise file_error(out, error) from error


def header(shape: tuple[int, int, int], metadata: dict[str, str]) -> bytes:
    """Of a safetensors file with the one tensor `slices`, int16."""
    bytes_in_all = 2 * shape[0] * shape[1] * shape[2]
    tensor = {"dtype": "I16", "shape": list(shape), "data_offsets": [0, bytes_in_all]}
    fields = {"__metadata__": metadata, "slices": tensor}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_pngs(generator: LoadedGenerator, asked: AskedImages, images: Iterator[Tensor], out: Path) -> None:
    of = f"of the generator {generator.sha256[:16]}"
    require_output_folder(out, "images", of)
    require_space([(out, len(asked) * (generator.experiment.resolution**2 + _PNG_BYTES), _ANOTHER_DISK)])
    with output_folder(out, "images", of):
        for name, image in zip(asked.file_names(), images, strict=True):
            # Not forced to the disk one by one: the same seeds give the same files again.
            with replacing(out / f"{name}.png", durable=False) as path:
                path.write_bytes(png_of(Image.fromarray(to_grey(image[None])[0])))
        if asked.layouts_of is not None:
            write_labels(asked.labels(), out / LAYOUTS)


def write_labels(labels: Iterable[NamedLayout], path: Path) -> None:
    """What images were asked to show, as CSV of layouts."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        write_csv(labels, file)


def require_own_csv(path: Path) -> None:
    """Refuse to replace a file that is no CSV of layouts. Raises BadInput."""
    if not path.exists():
        return
    try:
        with open_regular(path) as file:
            found = file.readline(len(",".join(COLUMNS)) + 2).decode().strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if found != ",".join(name for name in COLUMNS if name != "unit"):
        raise BadInput(path, "is there, and holds no layouts", "give another name")
