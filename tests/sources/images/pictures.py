"""Collections of generated images, and datasets that read them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

DATASET = """
title: generated images
image_kind: phantom
licence: none needed
source:
  kind: images
  path_variable: TEST_IMAGES
  class_name: "^([^_]+)"
{source}
private: false
slice_size: 32
"""
SPLITS = "  splits: {train: train, valid: held-out, test: held-out}"
TOKENS = '  patient_name: "^(p[0-9]+)_"'


def declare(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str = SPLITS, name: str = "pictures"
) -> None:
    """A dataset `pictures` whose images $TEST_IMAGES names."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(DATASET.format(source=source))
    monkeypatch.setenv("CHESTGAN_DATASETS", str(folder))


def drawn(seed: int, width: int = 90, height: int = 60) -> Image.Image:
    """A bright ellipse with a random pattern in it: no two seeds look alike."""
    draw = np.random.default_rng(seed)
    cells = Image.fromarray(draw.random((5, 6)).astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grey = np.clip(np.asarray(cells) * 230, 20, 255).astype(np.uint8)
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).ellipse((4, 4, width - 5, height - 5), fill=255)
    return Image.composite(Image.fromarray(grey), Image.new("L", (width, height), 0), mask)


def marked(seed: int) -> Image.Image:
    """The same with a line on it: a near-duplicate."""
    image = drawn(seed)
    ImageDraw.Draw(image).line((70, 5, 78, 20), fill=255)
    return image


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def put(root: Path, files: dict[str, Image.Image | bytes]) -> Path:
    """Write files below root; images in the format that the suffix names."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path)
    return root
