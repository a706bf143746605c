"""Matplotlib figures as PNG bytes: one style and one set of colours for all charts, drawn without a display.

In: a figure. Out: PNG bytes without the name and version of the program that drew it, so that the same figure gives
the same bytes. Colours are those of Okabe and Ito (2008), which people with a colour vision deficiency can tell apart.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from chestgan_core.imaging.pictures import png_of

BLUE, RED, GREEN, PURPLE, ORANGE, LIGHT_BLUE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
GREY, DARK_GREY, BLACK = "#8A8A8A", "#555555", "#1b1f24"
LINES = (BLUE, RED, GREEN, PURPLE, ORANGE, LIGHT_BLUE, BLACK)
# By the role of images in a comparison: held-out patients, synthetic, other patients.
ROLE_COLOURS = {"real": BLUE, "synthetic": RED, "other": GREY}


@contextmanager
def style(font_size: float) -> Iterator[None]:
    """The style of all charts, for figures created inside. font_size: points."""
    with mpl.rc_context(
        {
            "font.size": font_size,
            "axes.spines.top": False,
            "axes.spines.right": False,
            # Names may hold a dollar sign, which would make the rest a formula, or an error.
            "text.parse_math": False,
        }
    ):
        yield


def figure_png(figure: Figure, palette: int | None = None) -> bytes:
    """The figure as PNG. palette: number of colours, for about a fifth of the bytes; None keeps all."""
    buffer = io.BytesIO()
    # Raw pixels: going by way of matplotlib's PNG would compress twice.
    figure.savefig(buffer, format="rgba")
    size = (int(figure.bbox.width), int(figure.bbox.height))
    image = Image.frombytes("RGBA", size, buffer.getvalue()).convert("RGB")
    return png_of(image if palette is None else image.quantize(palette))
