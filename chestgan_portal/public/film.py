"""The frames of a run's progress film, one by one: a page that moves must be able to stop (WCAG 2.2.2).

In: progress.gif of a run, which holds synthetic images alone. Out: each frame as PNG.
"""

import io

from PIL import Image, ImageSequence

from chestgan_core.errors import DamagedObject
from chestgan_core.imaging.pictures import png_of

FILM = "progress.gif"
MAX_BYTES, MAX_FRAMES, MAX_SIDE = 64 * 2**20, 64, 8_192


def frames_of(gif: bytes, where: str) -> tuple[bytes, ...]:
    """PNG of each frame, in order. Raises DamagedObject: not a film, or one beyond the bounds."""
    remedy = "train the run again"
    try:
        with Image.open(io.BytesIO(gif), formats=["GIF"]) as film:
            if max(film.size) > MAX_SIDE or getattr(film, "n_frames", 1) > MAX_FRAMES:
                raise DamagedObject(where, "is too large for a film of a training", remedy)
            return tuple(png_of(frame.convert("L")) for frame in ImageSequence.Iterator(film))
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise DamagedObject(where, "is not a film of a training", remedy) from error
