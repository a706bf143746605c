"""A contact sheet per class of a training set: slices of both sides, with their tumour boxes.

In: the slices in use. Out: class -> PNG. Only the shards of the patients shown are fetched, one at a time, and of these
only the slices shown are read.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chestgan_core.config.dataset import Dataset
from chestgan_core.imaging.pictures import INK, PAPER, png_of, to_grey
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.candidates import StoredShard
from chestgan_core.slices.selection import UsedSlice
from chestgan_core.slices.shards import read_shard, rows_path
from chestgan_core.slices.splits import HELD_OUT, TRAIN, rank
from chestgan_core.slices.tumour_boxes import SliceBox
from chestgan_core.store.store import Store

COLUMNS, ROWS = 7, 6
HELD_OUT_ROWS = 2  # of ROWS, where there are enough patients
CELL, GAP, LABEL = 128, 2, 112  # pixels; together as wide as the dialog in which the UI shows a sheet
SHARD = "shard.safetensors"
TUMOUR = (255, 176, 0)


def preview_window(dataset: Dataset) -> str:
    """The name of the window through which slices of the dataset are shown."""
    return "lung" if dataset.has_hounsfield else "grey"


def contact_sheets(
    store: Store,
    dataset: Dataset,
    shards: Mapping[str, StoredShard],
    used: Sequence[UsedSlice],
    scratch: Path,
) -> dict[str, bytes]:
    """Class -> PNG of 6 x 7 slices. shards: by name. scratch: a folder. Raises DamagedObject.

    Of CT a row is a patient, series by series from the lowest slice to the highest, with its key and side; a sheet of
    pictures shows as many patients as there is room for.
    """
    by_class: defaultdict[str, list[UsedSlice]] = defaultdict(list)
    for use in used:
        by_class[use.candidate.row.histology].append(use)
    arrange = _rows if dataset.has_hounsfield else _filled
    sheets = {name: arrange(uses) for name, uses in sorted(by_class.items())}
    cells = _read(
        store, dataset, shards, [use for rows in sheets.values() for row in rows for use in row], scratch
    )
    margin = LABEL if dataset.has_hounsfield else 0
    return {name: png_of(_draw(rows, cells, margin)) for name, rows in sheets.items()}


def _rows(uses: Sequence[UsedSlice]) -> list[list[UsedSlice]]:
    """A row for each of the first patients by their hash: some to train on, some held out."""
    patients: defaultdict[str, list[UsedSlice]] = defaultdict(list)
    for use in uses:
        patients[use.candidate.row.patient].append(use)
    sides: dict[str, list[list[UsedSlice]]] = {TRAIN: [], HELD_OUT: []}
    for patient in sorted(patients, key=rank):
        slices = patients[patient]
        sides[slices[0].side].append(_spread(slices))
    held_out = sides[HELD_OUT][: max(HELD_OUT_ROWS, ROWS - len(sides[TRAIN]))]
    return sides[TRAIN][: ROWS - len(held_out)] + held_out


def _filled(uses: Sequence[UsedSlice]) -> list[list[UsedSlice]]:
    """First one picture of every patient, then the second ones, until the sheet is full."""
    turn: defaultdict[str, int] = defaultdict(int)
    order: list[tuple[int, float, int]] = []
    for use in uses:
        patient = use.candidate.row.patient
        order.append((turn[patient], rank(patient), len(order)))
        turn[patient] += 1
    chosen = [uses[at] for _, _, at in sorted(order)[: ROWS * COLUMNS]]
    return [chosen[at : at + COLUMNS] for at in range(0, len(chosen), COLUMNS)]


def _spread(slices: Sequence[UsedSlice]) -> list[UsedSlice]:
    """At most one row, evenly spaced; the middle one of those with a tumour box is among them."""
    if len(slices) <= COLUMNS:
        return list(slices)
    chosen = [(2 * part + 1) * len(slices) // (2 * COLUMNS) for part in range(COLUMNS)]
    marked = [at for at, use in enumerate(slices) if use.candidate.boxes]
    if marked and not set(marked) & set(chosen):
        middle = marked[len(marked) // 2]
        nearest = min(range(COLUMNS), key=lambda part: abs(chosen[part] - middle))
        chosen[nearest] = middle
    return [slices[at] for at in chosen]


def _read(
    store: Store,
    dataset: Dataset,
    shards: Mapping[str, StoredShard],
    shown: Sequence[UsedSlice],
    scratch: Path,
) -> dict[UsedSlice, Image.Image]:
    """Each slice as it is displayed, with its tumour boxes."""
    window = WINDOWS[preview_window(dataset)]
    by_shard: defaultdict[str, list[UsedSlice]] = defaultdict(list)
    for use in shown:
        by_shard[use.candidate.shard].append(use)
    cells = {}
    for name, uses in by_shard.items():
        path = shards[name].fetch(store, scratch / SHARD)
        shard = read_shard(path, [use.candidate.index for use in uses])
        for use, grey in zip(uses, to_grey(window.to_unit(shard.slices)), strict=True):
            cells[use] = _cell(grey, use.candidate.boxes)
        path.unlink()
        rows_path(path).unlink()
    return cells


def _cell(grey: np.ndarray, boxes: Sequence[SliceBox]) -> Image.Image:
    """CELL pixels per side, or the largest multiple of a small slice that fits."""
    size = len(grey)
    edge = CELL if size > CELL else size * (CELL // size)
    filter_ = Image.Resampling.BOX if size > CELL else Image.Resampling.NEAREST
    cell = Image.fromarray(grey).resize((edge, edge), filter_).convert("RGB")
    draw = ImageDraw.Draw(cell)
    for box in boxes:
        left, top, right, bottom = (at * edge / size for at in (box.left, box.top, box.right, box.bottom))
        # Around the box, so that the line does not cover the tumour's edge.
        draw.rectangle((int(left) - 1, int(top) - 1, ceil(right), ceil(bottom)), outline=TUMOUR)
    return cell


def _draw(
    rows: Sequence[Sequence[UsedSlice]], cells: Mapping[UsedSlice, Image.Image], margin: int
) -> Image.Image:
    """margin: pixels on the left for the patient's key and side; 0: none."""
    edge = cells[rows[0][0]].width
    size = (margin + COLUMNS * (edge + GAP) - GAP, len(rows) * (edge + GAP) - GAP)
    sheet = Image.new("RGB", size, (PAPER, PAPER, PAPER))
    draw = ImageDraw.Draw(sheet)
    for at, row in enumerate(rows):
        top = at * (edge + GAP)
        if margin:
            text = f"{row[0].candidate.row.patient}\n{row[0].side}"
            draw.multiline_text(
                (4, top + 4), text, fill=(INK, INK, INK), font=ImageFont.load_default(size=13)
            )
        for place, use in enumerate(row):
            sheet.paste(cells[use], (margin + place * (edge + GAP), top))
    return sheet
