"""Generated images without a set around them: one safetensors file in HU or grey levels, or a folder of PNG.

In: a generator and seeds. Out: FILE.safetensors with tensor `slices` (N, R, R) int16, or FOLDER/seed-000000.png. Memory
does not grow with the number of images; the room on the disk is checked first.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.imaging.pictures import png_of, to_grey
from chestgan_core.local.files import file_error, replacing, require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.local.progress import Progress
from chestgan_core.slices.shards import require_replaceable
from chestgan_core.training.generation import generate_stream, require_seeds
from chestgan_core.training.weights import LoadedGenerator

SAFETENSORS = ".safetensors"
_PNG_BYTES = 100  # of a PNG without its pixels
_ANOTHER_DISK = "give a smaller --count, or --out on another disk"


def write_images(generator: LoadedGenerator, seeds: Sequence[int], out: Path) -> dict[str, Any]:
    """Write one image per seed and return what was written, as plain data.

    Args:
        generator: From `load_generator`.
        seeds: 0 to 2^32 - 1, counting up.
        out: A name that ends in .safetensors, or a folder, which is made where it is missing.

    Returns:
        Where, how many, first seed, resolution, experiment, sha256 of the generator, window.

    Raises:
        BadInput: Another file name, a file or folder that holds something else, a seed out of range.
        DiskFull: The disk has no room for so many images.
    """
    require_seeds(seeds)
    experiment = generator.experiment
    written = {
        "out": str(out),
        "images": len(seeds),
        "first_seed": seeds[0],
        "resolution": experiment.resolution,
        "experiment": experiment.name,
        "model_sha256": generator.sha256,
        "window": asdict(experiment.display_window),
    }
    with Progress(f"generate  {experiment.name}", total=len(seeds), unit="images") as progress:
        images = _counted(generate_stream(generator, seeds), progress)
        if out.suffix == SAFETENSORS and not out.is_dir():
            facts = {name: value for name, value in written.items() if name != "out"}
            _write_slices(generator, images, len(seeds), facts, out)
        elif out.suffix and not out.is_dir():
            raise BadInput(
                out, "is neither a .safetensors file nor a folder", "give FILE.safetensors or a folder"
            )
        else:
            _write_pngs(generator, images, seeds, out)
    return written


def _counted(images: Iterator[Tensor], progress: Progress) -> Iterator[Tensor]:
    for image in images:
        yield image
        progress.step()


def _write_slices(
    generator: LoadedGenerator, images: Iterator[Tensor], count: int, facts: dict[str, Any], out: Path
) -> None:
    """The file that safetensors would write, image by image: safetensors takes only what is in memory."""
    size, window = generator.experiment.resolution, generator.experiment.display_window
    require_replaceable(out)
    require_space([(out.parent, count * size * size * 2, _ANOTHER_DISK)])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as path, path.open("wb") as file:
            file.write(_header((count, size, size), json.dumps(facts, sort_keys=True)))
            for image in images:
                file.write(window.from_unit(image)[0].numpy().tobytes())
    except OSError as error:
        raise file_error(out, error) from error


def _header(shape: tuple[int, int, int], facts: str) -> bytes:
    """Of a file with the one tensor `slices`, int16, and one field of metadata."""
    bytes_in_all = 2 * shape[0] * shape[1] * shape[2]
    tensor = {"dtype": "I16", "shape": list(shape), "data_offsets": [0, bytes_in_all]}
    fields = {"__metadata__": {"generated": facts}, "slices": tensor}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_pngs(
    generator: LoadedGenerator, images: Iterator[Tensor], seeds: Sequence[int], out: Path
) -> None:
    of = f"of the generator {generator.sha256[:16]}"
    require_output_folder(out, "images", of)
    require_space([(out, len(seeds) * (generator.experiment.resolution**2 + _PNG_BYTES), _ANOTHER_DISK)])
    with output_folder(out, "images", of):
        for seed, image in zip(seeds, images, strict=True):
            # Not forced to the disk one by one: the same seeds give the same files again.
            with replacing(out / f"seed-{seed:06d}.png", durable=False) as path:
                path.write_bytes(png_of(Image.fromarray(to_grey(image[None])[0])))
