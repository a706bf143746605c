"""The detector of tumours on one core: training with the default budget, and judging, in seconds.

In: nothing; smooth random images with a bright spot in every second one. Out: one row. Seconds are CPU time of one
thread, because other processes must not decide; the target is three minutes.
"""

import time

import numpy as np
import torch

from bench.ratio import Ratio
from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.detection import detection_score
from chestgan_core.metrics.detector import IMAGES_SEEN, detect, train_detector

IMAGES, SIZE, SLICES, SPOT = 2_000, 64, 20, 6
SECONDS = 180.0


def measure(images: int = IMAGES) -> list[Ratio]:
    """Train on so many images, and judge as many others; a minute and a half."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train, boxes = _spots(images, 0)
    test, wanted = _spots(images, 1)
    started = time.process_time()
    detector = train_detector(train, boxes, seed=0, augment=True)
    trained = time.process_time() - started
    patients = [f"patient-{at // SLICES}" for at in range(images)]
    score = detection_score(detect(detector, test), wanted, patients, SIZE, seed=0)
    seconds = time.process_time() - started
    torch.set_num_threads(threads)
    found = score.average_precision.value if score else 0.0
    note = (
        f"one core; {IMAGES_SEEN:,} images seen in {trained:.0f} s, {images:,} judged; precision {found:.2f}"
    )
    return [Ratio("detector, training and judging", seconds, SECONDS, "s", 1.0, note, at_most=True)]


def _spots(count: int, seed: int) -> tuple[torch.Tensor, list[list[Edges]]]:
    """(count, 1, SIZE, SIZE) smooth images in [-1, 1], and the boxes of their spots."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(-1, 0.5, (count, 1, 8, 8)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    boxes: list[list[Edges]] = [[] for _ in range(count)]
    for at in range(0, count, 2):
        left, top = (int(edge) for edge in random.integers(0, SIZE - SPOT, 2))
        images[at, 0, top : top + SPOT, left : left + SPOT] = 0.9
        boxes[at] = [(left, top, left + SPOT, top + SPOT)]
    return images, boxes
