"""A contact sheet for each class of a training set: what is trained on and scored on, with the tumour boxes.

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
from chestgan_core.slices.selection import Use
from chestgan_core.slices.shards import read_shard, rows_path
from chestgan_core.slices.splits import HELD_OUT, TRAIN, rank
from chestgan_core.slices.tumour_boxes import SliceBox
from chestgan_core.store.store import Store

COLUMNS, ROWS = 7, 6
SHOWN_HELD_OUT = 2  # of the rows
CELL, GAP, LABEL = 128, 2, 112  # pixels; together as wide as the dialog in which the UI shows a sheet
SHARD = "shard.safetensors"
TUMOUR = (255, 176, 0)


def window_of(dataset: Dataset) -> str:
    """The name of the window through which slices of the dataset are looked at."""
    return "lung" if dataset.has_hounsfield else "grey"


def contact_sheets(
    store: Store, dataset: Dataset, shards: Mapping[str, StoredShard], used: Sequence[Use], scratch: Path
) -> dict[str, bytes]:
    """A sheet of 6 x 7 slices for each class. shards: by name. scratch: a folder. Raises DamagedObject.

    Of CT a row is a patient, series by series from the lowest slice to the highest, with key and side beside it; a
    sheet of pictures shows as many patients as there is room for.
    """
    by_class: defaultdict[str, list[Use]] = defaultdict(list)
    for use in used:
        by_class[use.candidate.row.histology].append(use)
    arrange = _rows if dataset.has_hounsfield else _filled
    sheets = {name: arrange(uses) for name, uses in sorted(by_class.items())}
    cells = _read(
        store, dataset, shards, [use for rows in sheets.values() for row in rows for use in row], scratch
    )
    margin = LABEL if dataset.has_hounsfield else 0
    return {name: png_of(_draw(rows, cells, margin)) for name, rows in sheets.items()}


def _rows(uses: Sequence[Use]) -> list[list[Use]]:
    """A row for each of the patients that come first by their hash: some trained on, some held out."""
    patients: defaultdict[str, list[Use]] = defaultdict(list)
    for use in uses:
        patients[use.candidate.row.patient].append(use)
    sides: dict[str, list[list[Use]]] = {TRAIN: [], HELD_OUT: []}
    for patient in sorted(patients, key=rank):
        slices = patients[patient]
        sides[slices[0].side].append(_spread(slices))
    held_out = sides[HELD_OUT][: max(SHOWN_HELD_OUT, ROWS - len(sides[TRAIN]))]
    return sides[TRAIN][: ROWS - len(held_out)] + held_out


def _filled(uses: Sequence[Use]) -> list[list[Use]]:
    """First one picture of every patient, then the second ones, until the sheet is full."""
    turn: defaultdict[str, int] = defaultdict(int)
    order: list[tuple[int, float, int]] = []
    for use in uses:
        patient = use.candidate.row.patient
        order.append((turn[patient], rank(patient), len(order)))
        turn[patient] += 1
    chosen = [uses[at] for _, _, at in sorted(order)[: ROWS * COLUMNS]]
    return [chosen[at : at + COLUMNS] for at in range(0, len(chosen), COLUMNS)]


def _spread(slices: Sequence[Use]) -> list[Use]:
    """At most a row of them, evenly spaced; the middle one of those with a tumour box is among them."""
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
    store: Store, dataset: Dataset, shards: Mapping[str, StoredShard], shown: Sequence[Use], scratch: Path
) -> dict[Use, Image.Image]:
    """Each slice as it is displayed, with its tumour boxes."""
    window = WINDOWS[window_of(dataset)]
    wanted: defaultdict[str, list[Use]] = defaultdict(list)
    for use in shown:
        wanted[use.candidate.shard].append(use)
    cells = {}
    for name, uses in wanted.items():
        path = shards[name].fetch(store, scratch / SHARD)
        shard = read_shard(path, [use.candidate.index for use in uses])
        for use, grey in zip(uses, to_grey(window.to_unit(shard.slices)), strict=True):
            cells[use] = _cell(grey, use.candidate.boxes)
        path.unlink()
        rows_path(path).unlink()
    return cells


def _cell(grey: np.ndarray, boxes: Sequence[SliceBox]) -> Image.Image:
    """Of CELL pixels, or what whole multiples of the slice come near to it."""
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


def _draw(rows: Sequence[Sequence[Use]], cells: Mapping[Use, Image.Image], margin: int) -> Image.Image:
    """margin: pixels on the left for the patient's key and side; 0: none."""
    edge = cells[rows[0][0]].width
    size = (margin + COLUMNS * (edge + GAP) - GAP, len(rows) * (edge + GAP) - GAP)
    sheet = Image.new("RGB", size, (PAPER, PAPER, PAPER))
    draw = ImageDraw.Draw(sheet)
    for at, row in enumerate(rows):
        top = at * (edge + GAP)
        if margin:
            told = f"{row[0].candidate.row.patient}\n{row[0].side}"
            draw.multiline_text(
                (4, top + 4), told, fill=(INK, INK, INK), font=ImageFont.load_default(size=13)
            )
        for place, use in enumerate(row):
            sheet.paste(cells[use], (margin + place * (edge + GAP), top))
    return sheet
