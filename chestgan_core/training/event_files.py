"""A training as event files of TensorBoard: scalars and samples against images seen.

In: the callbacks of a training. Out: `events.out.tfevents.*` in one folder, which `tensorboard --logdir` reads while
the training runs and after it. TensorBoard is an extra and takes a second to load: nothing of it is imported before a
training begins.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from chestgan_core.errors import NotAvailable
from chestgan_core.imaging.pictures import image_grid
from chestgan_core.training.loop import TrainingCallbacks, TrainingStart
from chestgan_core.training.records import thinning

if TYPE_CHECKING:
    from torch import Tensor

# Columns of a row of the history: what TensorBoard calls them.
SCALARS = {
    "loss_d": "loss/discriminator",
    "loss_g": "loss/generator",
    "penalty": "loss/penalty",
    "d_real": "output_of_the_discriminator/real",
    "d_fake": "output_of_the_discriminator/generated",
    "spread": "spread_of_real",
    "images_per_second": "images_per_second",
}
KID, SAMPLES = "kid_x_1000", "samples"
MAX_SAMPLES = 64  # of every 1st, 2nd, 4th, ... row, as many at a time: a long training does not fill the disk
COLUMNS = 8


def require_tensorboard() -> None:
    """Call this before a training is prepared. Raises NotAvailable."""
    if importlib.util.find_spec("tensorboard") is None:
        raise NotAvailable(
            "event files",
            "TensorBoard is not installed",
            "install the extra: pip install 'chestgan[tensorboard]'",
        )


class EventFiles:
    """`with EventFiles(folder) as events: train(..., callbacks=events.callbacks)`. Its end closes the file.

    Everything is on the disk after each row, since SIGTERM may end the process without coming here. A training that is
    resumed purges what was written after its checkpoint, so no point is there twice; in a folder without event files it
    first writes the scalars of the attempts before.

    folder: of one training; it exists. Raises NotAvailable: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require_tensorboard()
        self._folder, self._writer, self._rows = folder, None, 0
        self.callbacks = TrainingCallbacks(
            on_start=self._start, on_row=self._row, on_validation=self._validation
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    _writer: Any  # a SummaryWriter, whose package has no types

    def _start(self, start: TrainingStart) -> None:
        from torch.utils.tensorboard import SummaryWriter

        is_new = next(self._folder.glob("events.out.tfevents.*"), None) is None
        purge = start.images_seen + 1 if start.images_seen else 0
        self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        self._rows = len(start.history)
        if is_new:
            for row in start.history:
                self._scalars(row)
            for validation in start.validations:
                self._kid(validation)
        self._writer.flush()

    def _row(self, row: Mapping[str, float | None], images: "Tensor") -> None:
        self._rows += 1
        self._scalars(row)
        if self._rows % thinning(self._rows, MAX_SAMPLES) == 0:
            grid = np.asarray(image_grid(images, COLUMNS))
            self._writer.add_image(SAMPLES, grid, _images_seen(row), dataformats="HW")
        self._writer.flush()

    def _validation(self, validation: Mapping[str, float]) -> None:
        self._kid(validation)
        self._writer.flush()

    def _scalars(self, row: Mapping[str, float | None]) -> None:
        for name, tag in SCALARS.items():
            if (value := row.get(name)) is not None:
                self._writer.add_scalar(tag, value, _images_seen(row))

    def _kid(self, validation: Mapping[str, float]) -> None:
        self._writer.add_scalar(KID, 1000 * validation["kid"], _images_seen(validation))


def _images_seen(row: Mapping[str, float | None]) -> int:
    return int(row["images_seen"] or 0)
