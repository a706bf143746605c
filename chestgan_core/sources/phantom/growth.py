"""From a seed and a number to a patient: the measures of the body, then vessels and tumour in the lungs.

In: seed, patient number, histology letter. Out: `Anatomy`, the same for the same arguments.
"""

from dataclasses import replace

import numpy as np

from chestgan_core.sources.phantom.anatomy import APEX, LUNG_END, Anatomy, Side, Tumour
from chestgan_core.sources.phantom.shapes import Field, Tube, tube

TWIGS = 240
"""Ends of the vessel tree of one lung."""


def draw_anatomy(seed: int, number: int, histology: str) -> Anatomy:
    """The anatomy of patient `number`. The same arguments give the same anatomy.

    histology: A and E grow at the edge of the lung, B and G near the hilum, as these tumours often do.
    """
    random = np.random.default_rng([seed, number, 1])
    size = random.uniform(0.90, 1.08)
    width, thickness = size * random.uniform(0.94, 1.06), size * random.uniform(0.88, 1.12)
    fat = float(random.uniform(7, 26))
    sharp = bool(random.random() < 0.45)
    right_dome = random.uniform(0.66, 0.72)
    bare = Anatomy(
        length=float(size * random.uniform(315, 350)),
        width=float(width),
        thickness=float(thickness),
        lung=float(random.uniform(0.94, 1.03)),
        fat=fat,
        breast=float(random.uniform(0.6, 1.1) if random.random() < 0.45 else 0),
        field_of_view=float(2 * (160 * width + fat) + random.uniform(5, 40)),
        rotation=float(random.normal(0, 0.03)),
        shift=(float(random.normal(0, 5)), float(random.normal(4, 5))),
        heart=(
            float(random.uniform(16, 26)),
            float(random.uniform(-34, -24)) * float(thickness),
            float(size * random.uniform(0.88, 1.12)),
        ),
        dome=(float(right_dome), float(right_dome + random.uniform(0.01, 0.05))),
        rib_pitch=float(size * random.uniform(25, 29)),
        rib_phase=float(random.random()),
        parenchyma=float(random.uniform(-880, -815)),
        blood=float(random.choice([45.0, 150.0])),
        noise=float(random.uniform(22, 40) if sharp else random.uniform(8, 18)),
        sharp=sharp,
        texture=random.standard_normal((9, 16, 16), dtype=np.float32),
        mottle=random.standard_normal((30, 72, 72), dtype=np.float32),
        vessels=(),
        tumour=Tumour(0, 0, 0, 1, (), ()),
    )
    return replace(bare, vessels=grow_vessels(bare, random), tumour=grow_tumour(bare, histology, random))


def _places(anatomy: Anatomy, side: Side, depth: float) -> tuple[Field, Field, Field]:
    """Grid points of 5 mm over one side of the body with their distance to the pleura."""
    across = np.arange(4, 150, 5, dtype=np.float32) * side
    y, x = np.meshgrid(np.arange(-110, 111, 5, dtype=np.float32), across, indexing="ij")
    return x.ravel(), y.ravel(), anatomy.lung_field(x, y, depth, side).ravel()


def grow_vessels(anatomy: Anatomy, random: np.random.Generator) -> tuple[Tube, ...]:
    """A branching tree in each lung from the hilum to TWIGS ends, radii by Murray's law (cubes add up)."""
    tubes: list[Tube] = []
    for side in (-1, 1):
        pool = []
        for fraction in np.linspace(APEX + 0.03, LUNG_END - 0.02, 24):
            x, y, distance = _places(anatomy, side, float(fraction) * anatomy.length)
            kept = distance > 5
            pool.append(np.stack([x, y, np.full_like(x, fraction * anatomy.length)], axis=1)[kept])
        points = np.concatenate(pool)
        ends = points[random.choice(len(points), TWIGS, replace=False)]
        ends = ends + random.uniform(-3, 3, ends.shape).astype(np.float32)
        _branch(np.asarray(anatomy.hilum(side), dtype=np.float32), ends, random, tubes)
    return tuple(tubes)


def _branch(start: Field, ends: Field, random: np.random.Generator, tubes: list[Tube]) -> None:
    """A branch from `start` towards the middle of the ends; then the ends are split across their widest direction."""
    radius = 0.95 * len(ends) ** (1 / 3)
    if len(ends) == 1:
        bend = (start + ends[0]) / 2 + random.normal(0, 2, 3)
        tubes.append(tube([tuple(start), tuple(bend), tuple(ends[0])], (radius, 0.6)))
        return
    node = start + (ends.mean(axis=0) - start) * random.uniform(0.25, 0.45) + random.normal(0, 1.5, 3)
    node = node.astype(np.float32)
    tubes.append(tube([tuple(start), tuple(node)], radius))
    away = ends - node
    _, axes = np.linalg.eigh(np.cov(away.T) + np.eye(3))
    order = np.argsort(away @ axes[:, -1], kind="stable")
    cut = int(np.clip(len(ends) * random.uniform(0.35, 0.65), 1, len(ends) - 1))
    _branch(node, ends[order[:cut]], random, tubes)
    _branch(node, ends[order[cut:]], random, tubes)


def grow_tumour(anatomy: Anatomy, histology: str, random: np.random.Generator) -> Tumour:
    """A tumour inside one lung, with lung all around it; the radius shrinks until it fits.

    B (small cell) and G (squamous cell) lie close to the hilum, A and E far from it.
    """
    radius = float(random.uniform(10, 19) * (1.15 if histology == "E" else 1.0))
    side: Side = -1 if random.random() < 0.55 else 1
    depth = float(random.uniform(0.27, 0.60)) * anatomy.length
    while True:
        x, y, distance = _places(anatomy, side, depth)
        for level in (depth - 0.7 * radius, depth + 0.7 * radius):
            distance = np.minimum(distance, _places(anatomy, side, level)[2] + 0.3 * radius)
        fits = np.flatnonzero(distance > 1.5 * radius)
        if len(fits):
            break
        radius *= 0.95
    hx, hy, _ = anatomy.hilum(side)
    order = fits[np.argsort(np.hypot(x[fits] - hx, y[fits] - hy), kind="stable")]
    third = max(len(order) // 3, 1)
    pick = int(random.choice(order[:third] if histology in "BG" else order[-third:]))
    lobes = tuple((int(count), float(random.uniform(0, 2 * np.pi))) for count in (2, 3, 5))
    angles = np.sort(random.uniform(-np.pi, np.pi, int(random.integers(6, 12))))
    spikes = tuple((float(angle), float(random.uniform(0.2, 0.55))) for angle in angles)
    return Tumour(float(x[pick]), float(y[pick]), depth, radius, lobes, spikes)
