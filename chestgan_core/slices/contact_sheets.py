"""Contact sheets of a training set: one per class, and one per condition that images can be asked for.

In: the slices in use. Out: PNG files, with a frame around each tumour, and an outline where its mask is known. Only the
shards of the patients shown are fetched, one at a time, and of these only the slices shown are read.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chestgan_core.config.dataset import Dataset
from chestgan_core.imaging.pictures import INK, PAPER, draw_boxes, png_of, to_grey
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.candidates import Candidate, StoredShard
from chestgan_core.slices.selection import UsedSlice
from chestgan_core.slices.shards import read_shard, rows_path
from chestgan_core.slices.splits import HELD_OUT, TRAIN, rank
from chestgan_core.slices.tumour_boxes import mask_on_slice
from chestgan_core.store.store import Store

COLUMNS, ROWS = 7, 6
HELD_OUT_ROWS = 2  # of ROWS, where there are enough patients
CELL, GAP, LABEL = 128, 2, 112  # pixels; together as wide as the dialog in which the UI shows a sheet
SHARD = "shard.safetensors"
OUTLINE = (0, 190, 255)  # blue, around the mask of a tumour
CONTACT_SHEET, UNNAMED = (
    "contact-sheet-{}.png",
    "unknown",
)  # the class of patients whose histology is not known
TUMOUR, NO_TUMOUR, POSITION = "with a tumour", "surely without a tumour", "from base to apex"
CONDITION_SHEETS = {
    TUMOUR: "condition-tumour.png",
    NO_TUMOUR: "condition-no-tumour.png",
    POSITION: "condition-position.png",
}
"""What the slices of a sheet have in common -> its file. There are no sheets without slices."""


@dataclass(frozen=True)
class _Sheet:
    """rows: of slices, not all of the same length. labels: of each row; empty: no margin for them."""

    rows: Sequence[Sequence[UsedSlice]]
    labels: Sequence[str]


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
    """Name of a file -> PNG of up to 6 x 7 slices. shards: by name. scratch: a folder. Raises DamagedObject.

    Of CT a row is a patient, series by series from the lowest slice to the highest, with its key and side; a sheet of
    pictures shows as many patients as there is room for. On the sheet of positions they rise from cell to cell, and
    neighbours are of different patients where there are several.
    """
    sheets = dict(_sheets(dataset, used))
    shown = {use for sheet in sheets.values() for row in sheet.rows for use in row}
    cells = _read(store, dataset, shards, [use for use in used if use in shown], scratch)
    return {name: png_of(_draw(sheet, cells)) for name, sheet in sheets.items()}


def _sheets(dataset: Dataset, used: Sequence[UsedSlice]) -> Iterator[tuple[str, _Sheet]]:
    by_class: defaultdict[str, list[UsedSlice]] = defaultdict(list)
    for use in used:
        by_class[use.candidate.row.histology].append(use)
    for name, uses in sorted(by_class.items()):
        sheet = _by_patient(uses) if dataset.has_hounsfield else _Sheet(_filled(uses), ())
        yield CONTACT_SHEET.format(name or UNNAMED), sheet
    if marked := [use for use in used if use.candidate.boxes]:
        yield CONDITION_SHEETS[TUMOUR], _by_patient(marked)
    if empty := [use for use in used if use.candidate.annotated and not use.candidate.boxes]:
        yield CONDITION_SHEETS[NO_TUMOUR], _by_patient(empty)
    if placed := [use for use in used if use.candidate.row.has_position]:
        yield CONDITION_SHEETS[POSITION], _by_position(placed)


def _by_patient(uses: Sequence[UsedSlice]) -> _Sheet:
    rows = _rows(uses)
    return _Sheet(rows, [f"{row[0].candidate.row.patient}\n{row[0].side}" for row in rows])


def _by_position(uses: Sequence[UsedSlice]) -> _Sheet:
    """A slice for each part of the lungs that has one, each of another patient where there are several."""
    parts = ROWS * COLUMNS
    chosen: dict[int, tuple[float, UsedSlice]] = {}
    for use in uses:
        row = use.candidate.row
        part = min(int(row.position * parts), parts - 1)
        drawn = rank(f"{row.patient} {part}")
        if part not in chosen or drawn < chosen[part][0]:
            chosen[part] = drawn, use
    ordered = [use for _, (_, use) in sorted(chosen.items(), key=lambda item: item[0])]
    rows = [ordered[at : at + COLUMNS] for at in range(0, len(ordered), COLUMNS)]
    ends = [(row[0].candidate.row.position, row[-1].candidate.row.position) for row in rows]
    return _Sheet(rows, [f"{low:.2f} to {high:.2f}" for low, high in ends])


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
    """Each slice as it is displayed, with its tumours."""
    window = WINDOWS[preview_window(dataset)]
    by_shard: defaultdict[str, list[UsedSlice]] = defaultdict(list)
    for use in shown:
        by_shard[use.candidate.shard].append(use)
    cells = {}
    for name, uses in by_shard.items():
        path = shards[name].fetch(store, scratch / SHARD)
        shard = read_shard(path, [use.candidate.index for use in uses])
        for use, grey in zip(uses, to_grey(window.to_unit(shard.slices)), strict=True):
            cells[use] = _cell(grey, use.candidate)
        path.unlink()
        rows_path(path).unlink()
    return cells


def _cell(grey: np.ndarray, candidate: Candidate) -> Image.Image:
    """CELL pixels per side, or the largest multiple of a small slice that fits."""
    size = len(grey)
    edge = CELL if size > CELL else size * (CELL // size)
    filter_ = Image.Resampling.BOX if size > CELL else Image.Resampling.NEAREST
    cell = Image.fromarray(grey).resize((edge, edge), filter_).convert("RGB")
    for box in candidate.masks:
        mask = mask_on_slice(candidate.row, box, edge)
        if mask is not None:
            cell.paste(OUTLINE, mask=Image.fromarray(_around(mask >= 0.5)))
    boxes = [(box.left, box.top, box.right, box.bottom) for box in candidate.boxes]
    return draw_boxes(cell, boxes, edge / size)


def _around(mask: np.ndarray) -> np.ndarray:
    """The pixels right outside of a mask, (N, N) bool: uint8, 255 there and 0 elsewhere."""
    padded = np.pad(mask, 1)
    grown = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    outline: np.ndarray = (grown & ~mask).astype(np.uint8) * 255
    return outline


def _draw(sheet: _Sheet, cells: Mapping[UsedSlice, Image.Image]) -> Image.Image:
    edge = cells[sheet.rows[0][0]].width
    margin = LABEL if sheet.labels else 0
    size = (margin + COLUMNS * (edge + GAP) - GAP, len(sheet.rows) * (edge + GAP) - GAP)
    image = Image.new("RGB", size, (PAPER, PAPER, PAPER))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=13)
    for at, label in enumerate(sheet.labels):
        draw.multiline_text((4, at * (edge + GAP) + 4), label, fill=(INK, INK, INK), font=font)
    for at, row in enumerate(sheet.rows):
        for place, use in enumerate(row):
            image.paste(cells[use], (margin + place * (edge + GAP), at * (edge + GAP)))
    return image
