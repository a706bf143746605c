"""Animations: frames, or the slices of a stack, as GIF files that repeat."""

import io
from collections.abc import Sequence

from PIL import Image

from chestgan_core.imaging.pictures import Images, draw_boxes, to_grey

SIDE = 128  # pixels of a stack, at least; 47 slices of 64 pixels take 500 KB
SLICE_MS, LAST_SLICE_MS = 120, 800


def animation(frames: Sequence[Image.Image], frame_ms: int, last_ms: int) -> bytes:
    """A GIF of frames of one size. frame_ms: how long each is shown; last_ms: the last one."""
    stream = io.BytesIO()
    durations = [*[frame_ms] * (len(frames) - 1), last_ms]
    frames[0].save(
        stream, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False
    )
    return stream.getvalue()


def stack_animation(
    images: Images, boxes: Sequence[Sequence[tuple[float, float, float, float]]] | None = None
) -> bytes:
    """The slices of a stack, one after the other.

    Args:
        images: (N, 1, R, R) in [-1, 1].
        boxes: Of each slice, in its pixels, to be framed; None: no frames.
    """
    grey = to_grey(images)
    scale = -(-SIDE // grey.shape[-1])
    frames = [Image.fromarray(image.repeat(scale, 0).repeat(scale, 1)) for image in grey]
    if boxes is not None:
        frames = [draw_boxes(frame, some, scale) for frame, some in zip(frames, boxes, strict=True)]
    return animation(frames, SLICE_MS, LAST_SLICE_MS)
