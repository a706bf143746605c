"""The charts of a metric report: feature scatter, grey-value histogram, pairs closest to training, as PNG.

In: features or images by role (real, synthetic, other). Out: PNG files, drawn without a display.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chestgan_core.config.dataset import ImageKind
from chestgan_core.imaging.figures import ROLE_COLOURS, figure_png, style
from chestgan_core.imaging.pictures import image_grid
from chestgan_core.imaging.windows import Window
from chestgan_core.local.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.evaluation.scoring.closest import Closest

BINS = 100


def feature_scatter(features: dict[str, NDArray[np.float32]], image_kind: ImageKind, path: Path) -> None:
    """Each image as a point in the plane of the two largest principal components of all groups together.

    features: role -> (n, d). image_kind: the word for images that are not synthetic.
    """
    pooled = np.concatenate(list(features.values())).astype(np.float64)
    mean = pooled.mean(axis=0)
    axes, fractions = _two_components(pooled - mean)
    # The sign of a component is arbitrary; it is fixed, so that the same data give the same figure.
    plane = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    figure, ax = _figure()
    for role in ("other", "real", "synthetic"):
        if role in features:
            x, y = ((features[role] - mean) @ plane.T).T
            label = f"{_label(role, image_kind)} ({len(x)})"
            ax.scatter(x, y, s=14, alpha=0.6, color=ROLE_COLOURS[role], label=label, linewidths=0)
    ax.set_xlabel(f"first component ({fractions[0]:.0%} of the variance)")
    ax.set_ylabel(f"second component ({fractions[1]:.0%})")
    _finish(figure, ax, path)


def _two_components(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, d) -> the two largest principal components (2, d), and which fraction of the variance each explains (2,).

    From d x d or n x n products, whichever are fewer: singular values of (n, d) take ten times as long.
    """
    count, dimension = centred.shape
    gram = centred.T @ centred if dimension <= count else centred @ centred.T
    values, vectors = np.linalg.eigh(gram)
    components = vectors[:, :-3:-1].T
    if dimension > count:
        components = components @ centred
        components /= np.maximum(np.linalg.norm(components, axis=1, keepdims=True), 1e-12)
    return components, values[:-3:-1].clip(0) / max(float(values.clip(0).sum()), 1e-12)


def value_histogram(images: "dict[str, Tensor]", window: Window, image_kind: ImageKind, path: Path) -> None:
    """Fraction of pixels by value (HU, or grey level of pictures) inside the window, on a logarithmic scale.

    images: role -> (N, 1, H, W) in [-1, 1]. Values outside of a window in HU were clipped to its ends: hence
    the tall first and last bins.
    """
    # Grey levels are integers: bins of another width would hold sometimes two of them, sometimes three.
    edges = np.linspace(*window.ends, BINS + 1) if window.unit == "HU" else np.arange(257) - 0.5
    figure, ax = _figure()
    for role in ("other", "real", "synthetic"):
        if role in images:
            counts, _ = np.histogram(
                window.from_unit(images[role].cpu().numpy()), bins=len(edges) - 1, range=(edges[0], edges[-1])
            )
            fractions, label = counts / max(counts.sum(), 1), _label(role, image_kind)
            ax.stairs(fractions, edges, color=ROLE_COLOURS[role], label=label, linewidth=1.5)
    ax.set_yscale("log")
    # Powers of ten would be set as formulas, which are off (imaging/figures.py).
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())
    ax.locator_params(axis="x", nbins=6)
    ax.set_xlabel("Hounsfield units (clipped to the window)" if window.unit == "HU" else "grey level")
    ax.set_ylabel("fraction of pixels")
    _finish(figure, ax, path)


def closest_pairs(closest: "Closest", image_kind: ImageKind, path: Path) -> None:
    """Columns of a synthetic image and the training and held-out images nearest to it, the nearest pair first.

    Above each of the two: its distance from the synthetic one.
    """
    count = len(closest.fake)
    rows = (
        ("synthetic", closest.fake, None),
        (f"nearest {image_kind}\ntrained on", closest.trained, closest.to_trained),
        (f"nearest {image_kind}\nheld out", closest.held_out, closest.to_held_out),
    )
    width = 1.5 + 0.95 * count
    with style(10):
        figure = Figure(figsize=(width, 3.45), dpi=150)
        figure.subplots_adjust(left=1.45 / width, right=0.995, top=0.99, bottom=0.01, hspace=0.2)
        # One picture per row: matplotlib takes 15 ms for each of its axes.
        for ax, (label, images, distances) in zip(figure.subplots(len(rows)), rows, strict=True):
            strip = np.asarray(image_grid(images, count))
            ax.imshow(strip, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
            ax.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6)
            for at, distance in enumerate([] if distances is None else distances):
                middle = (at + 0.5) * strip.shape[1] / count
                ax.text(middle, -0.04 * len(strip), f"{distance:.2f}", fontsize=8.5, ha="center", va="bottom")
    _write(figure, path)


def _label(role: str, image_kind: ImageKind) -> str:
    return {
        "real": f"{image_kind}, compared",
        "synthetic": "synthetic",
        "other": f"{image_kind}, other patients",
    }[role]


def _figure() -> tuple[Figure, Axes]:
    with style(11):
        figure = Figure(figsize=(5.6, 4.2), dpi=150, layout="constrained")
        return figure, figure.subplots()


def _finish(figure: Figure, ax: Axes, path: Path) -> None:
    ax.legend(frameon=False)
    ax.grid(alpha=0.25)
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(figure_png(figure))
