"""What a generator is asked to show: layouts as CSV and COCO JSON, a tumour as text."""

import csv
import io
import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzz.kind import Outcome, refusable
from fuzz.mutation import encoded, plain_data, several, some_bytes, text

if TYPE_CHECKING:
    from chestgan_core.layouts.askable import Askable

_CSV = (
    "image,left,top,right,bottom,unit,tumour,position,class,seed,place\n"
    "a,22,25,25,28,,,0.5,,7,\na,23,25,26,29,px,,,,,\nb,110,125,125,140,mm,,any,,,any\nc,,,,,,none,,,,\nd,,,,,,any,,,,\n"
)
_COCO: dict[str, Any] = {
    "info": {},
    "categories": [{"id": 1, "name": "tumour"}],
    "images": [
        {"id": 1, "file_name": "a.png", "width": 64, "height": 64, "position": 0.5, "seed": 7},
        {
            "id": 2,
            "file_name": "b.png",
            "width": 512,
            "height": 512,
            "class": "",
            "tumour": "",
            "place": "any",
        },
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [22, 25, 3, 4], "area": 12, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [180.5, 200, 24, 32]},
    ],
}
_TUMOURS = ("24,27,3,4", "120,135,15,20mm", "24,27,3,4px", "none")


def warm_up() -> None:
    """Import PyTorch, before the address space is limited."""
    import chestgan_core.publishing.asked_images  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A file with cells, values or bytes changed, or a changed text."""
    model = str(seeds / "model")
    match rng.randrange(3):
        case 0:
            data = several(rng, _CSV.encode(), (_cell, _cell, _cell, _whole, some_bytes))
            (folder / "layouts.csv").write_bytes(data)
            return {"model": model, "file": "layouts.csv"}
        case 1:
            tree = json.loads(json.dumps(_COCO))
            for _ in range(rng.choice((0, 1, 1, 2))):
                plain_data(rng, tree)
            data = encoded(json.dumps(tree, ensure_ascii=False))
            (folder / "layouts.json").write_bytes(
                several(rng, data, (some_bytes,)) if rng.random() < 0.2 else data
            )
            return {"model": model, "file": "layouts.json"}
        case _:
            words = rng.choice(_TUMOURS).split(",")
            words[rng.randrange(len(words))] = text(rng)
            return {
                "model": model,
                "tumour": ",".join(words),
                "position": rng.choice((None, 0.5, 2.0, float("inf"))),
            }


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """Layouts that are accepted are written, and read back as the same."""
    from chestgan_core.layouts.asked import asked_layout
    from chestgan_core.layouts.csv_layouts import parse_csv, write_csv
    from chestgan_core.layouts.files import read_layouts

    outcome, askable = Outcome(), _askable(facts["model"])
    if "tumour" in facts:
        refusable(outcome, lambda: asked_layout(askable, [facts["tumour"]], facts["position"], None))
        return outcome
    named = refusable(outcome, lambda: read_layouts(folder / facts["file"], askable))
    if named is not None:
        stream = io.StringIO(newline="")
        write_csv(named, stream)
        if parse_csv(stream.getvalue(), "again", askable) != named:
            outcome.worse(outcome.result, "what was written does not read back as the same")
    return outcome


@cache
def _askable(model: str) -> "Askable":
    from chestgan_core.publishing.asked_images import askable_of
    from chestgan_core.training.weights import load_generator

    return askable_of(load_generator(Path(model)))


def _cell(rng: random.Random, data: bytes) -> bytes:
    """One value of the table, quoted where it needs to be."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline="")))
    except csv.Error:  # it was changed before
        return data
    row = rng.choice([row for row in rows if row] or [[""]])
    row[rng.randrange(len(row))] = rng.choice((text(rng), text(rng), "any", "-3", "64", "0.5"))
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return encoded(stream.getvalue())


def _whole(rng: random.Random, data: bytes) -> bytes:
    """Lines twice, other separators and encodings, open quotes."""
    lines = data.split(b"\n")
    match rng.randrange(5):
        case 0:
            return b"\n".join([*lines, *lines[1:] * rng.choice((1, 20))])
        case 1:
            return data.replace(b",", rng.choice((b";", b"\t", b", ")))
        case 2:
            return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
        case 3:
            return data.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n")))
        case _:
            return data + b'"' * rng.choice((1, 100)) + b"x" * rng.choice((10, 1_000_000))
