"""Generated images without a set around them: one safetensors file in HU or grey levels, or a folder of PNG.

In: a generator and seeds. Out: FILE.safetensors with tensor `slices` (N, R, R) int16, or
FOLDER/seed-000000.png.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save

from chestgan_core.errors import BadInput
from chestgan_core.imaging.pictures import png_of, to_grey
from chestgan_core.local.files import replacing
from chestgan_core.local.progress import Progress
from chestgan_core.training.generation import generate_stream
from chestgan_core.training.weights import LoadedGenerator


def write_images(generator: LoadedGenerator, seeds: Sequence[int], out: Path) -> dict[str, Any]:
    """Write one image per seed and return what was written, as plain data.

    out: a name that ends in .safetensors, or a folder, which is made where it is missing. Raises BadInput for another
    file name.
    """
    experiment = generator.experiment
    images = generate_stream(generator, seeds)
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
        if out.suffix == ".safetensors":
            size = experiment.resolution
            slices = torch.empty(len(seeds), size, size, dtype=torch.int16)
            for index, image in enumerate(images):
                slices[index] = experiment.display_window.from_unit(image)[0]
                progress.step()
            out.parent.mkdir(parents=True, exist_ok=True)
            # One field only: safetensors writes several in any order; equal images should give equal bytes.
            facts = json.dumps(
                {name: value for name, value in written.items() if name != "out"}, sort_keys=True
            )
            with replacing(out) as path:
                path.write_bytes(save({"slices": slices}, metadata={"generated": facts}))
        elif out.suffix and not out.is_dir():
            raise BadInput(
                out, "is neither a .safetensors file nor a folder", "give FILE.safetensors or a folder"
            )
        else:
            out.mkdir(parents=True, exist_ok=True)
            for seed, image in zip(seeds, images, strict=True):
                with replacing(out / f"seed-{seed:06d}.png") as path:
                    path.write_bytes(png_of(Image.fromarray(to_grey(image[None])[0])))
                progress.step()
    return written
