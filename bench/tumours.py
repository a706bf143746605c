"""Are tumours placed where they are asked for, and does a detector learn from them? The table of docs/recipes.md.

In: `python -m bench.tumours`, seeds, images seen. Phantoms of `phantom_tumours` are generated; or --dicom FOLDER, as
the dataset `folder` takes it: DICOM of annotated patients, with their annotations. Out: a Markdown table on standard
output, and with --out the runs and a picture of pairs of each. Per seed a generator with conditions is trained, and one
without for the same CPU time; as many seeds run at once as there are cores, each on one thread. All measures are those
of reports.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.sides import write_sides
from chestgan_core.config.conditions import Conditions
from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.config.experiment import load_experiment
from chestgan_core.local.log_lines import configure_logging

if TYPE_CHECKING:
    from chestgan_core.evaluation.scoring.tumour_sides import TumourSides
    from chestgan_core.slices.marks import SliceMarks

ROOT = Path(__file__).parent.parent
EXPERIMENT = "phantom-tumour-64"
SIZE = 64
PAIRS_SHOWN = 16
log = logging.getLogger("chestgan.bench")

Row = tuple[float, float | None, float | None]
"""Value and 95 % interval."""


def main() -> int:
    """Generate and normalize phantoms, train and judge every seed, print the table."""
    configure_logging()
    args = _arguments()
    if args.one is not None:
        print(json.dumps(_judged(args.one, args)))
        return 0
    with tempfile.TemporaryDirectory(prefix="chestgan-tumours-") as scratch:
        args.folder = args.out or Path(scratch)
        args.folder.mkdir(parents=True, exist_ok=True)
        _normalize(args.folder, args.dicom)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            found = list(pool.map(lambda seed: _in_a_process(seed, args), range(args.seeds)))
    _print(found, args)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=load_experiment(EXPERIMENT).training.images)
    parser.add_argument(
        "--detector-images", type=int, default=load_experiment(EXPERIMENT).evaluation.detector_images
    )
    parser.add_argument("--dicom", type=Path, help="annotated patients, in place of phantoms")
    parser.add_argument("--out", type=Path, help="keep the runs here (of people: keep them private)")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _dataset(dicom: Path | None) -> Dataset:
    """phantom_tumours, or the folder of annotated patients."""
    if dicom is None:
        return dataset_named(load_experiment(EXPERIMENT).dataset)
    os.environ["CHESTGAN_FOLDER"] = str(dicom)
    return dataset_named("folder")


def _normalize(folder: Path, dicom: Path | None) -> None:
    """train.safetensors and held-out.safetensors, half of the patients each, unless they are there."""
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.recipe import NormalizationRecipe
    from chestgan_core.slices.splits import SIDES
    from chestgan_core.sources.phantom.source import generated_folder

    if all((folder / f"{side}.safetensors").is_file() for side in SIDES):
        return
    source = _dataset(dicom).source
    files = dicom or generated_folder(source, folder)  # type: ignore[arg-type]
    shard = normalize([files], NormalizationRecipe(size=SIZE), Pseudonyms()).shard
    write_sides(shard, folder, 0.5)


def _marks(paths: list[Path], dicom: Path | None) -> "SliceMarks":
    """Where the tumours are on the slices of these files."""
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.slices.annotated_slices import with_annotations
    from chestgan_core.slices.candidates import Candidate
    from chestgan_core.slices.shards import read_rows
    from chestgan_core.sources.annotations.boxes import Annotations, Found
    from chestgan_core.sources.annotations.local import local_annotations

    slices = [Candidate(path.name, at, row) for path in paths for at, row in enumerate(read_rows(path))]
    patients = {one.row.patient for one in slices}

    def patient_of(folder: str) -> str:
        """A0001 -> Lung_Dx-A0001."""
        ends = [patient for patient in patients if folder and patient.endswith(folder)]
        return ends[0] if len(ends) == 1 else ""

    found = Found()
    for part, _ in local_annotations(_dataset(dicom), patient_of, Pseudonyms()).values():
        found.add(part)
    annotations = Annotations(tuple(found.boxes), {}, tuple(found.series), tuple(found.unsure))
    marked, counts = with_annotations(slices, annotations, SIZE)
    log.info(f"{counts.on_slices} of {counts.boxes} boxes are on slices")
    return {(one.row.patient, one.row.sop_uid): one.boxes if one.annotated else None for one in marked}


def _in_a_process(seed: int, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.tumours", "--one", f"{seed}", "--folder", f"{args.folder}"]
    command += ["--images", f"{args.images}", "--detector-images", f"{args.detector_images}"]
    command += ["--dicom", f"{args.dicom}"] if args.dicom else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    ran = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        raise RuntimeError(f"seed {seed} ended with status {ran.returncode}")
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def _judged(seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """The numbers of one seed."""
    import torch

    from chestgan_core.evaluation.scoring.detection_metrics import DetectionComparison
    from chestgan_core.evaluation.scoring.tumour_metrics import TumourComparison
    from chestgan_core.evaluation.scoring.tumour_sides import tumour_sides
    from chestgan_core.metrics.distances import kid
    from chestgan_core.metrics.feature_extractors import open_extractor
    from chestgan_core.training.data import load_slices
    from chestgan_core.training.generation import generate
    from chestgan_core.training.loop import train
    from chestgan_core.training.schedule import Budget
    from chestgan_core.training.weights import load_generator

    torch.set_num_threads(1)
    device = torch.device("cpu")
    dataset = _dataset(args.dicom)
    asked = load_experiment(EXPERIMENT).model_copy(update={"seed": seed, "dataset": dataset.name})
    publication = asked.publication.model_copy(update={"tumour_fraction": None})
    plain = asked.model_copy(
        update={"conditions": Conditions(), "publication": publication, "name": f"{EXPERIMENT}-plain"}
    )
    paths = [args.folder / f"{side}.safetensors" for side in ("train", "held-out")]
    marks = _marks(paths, args.dicom)
    slices, held_out = load_slices(paths[:1], asked, marks), load_slices(paths[1:], asked, marks)
    outs = {one.name: args.folder / f"seed-{seed}-{one.name}" for one in (asked, plain)}
    first = train(
        asked,
        slices,
        outs[asked.name],
        device,
        Budget(minutes=None, images=args.images),
        clock=time.process_time,
    )
    second = train(
        plain,
        load_slices(paths[:1], plain),
        outs[plain.name],
        device,
        Budget(minutes=first.seconds / 60, images=None),
        clock=time.process_time,
    )
    extractor = open_extractor()
    count = min(len(held_out), asked.evaluation.images)
    chosen = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:count]
    real = extractor.features(held_out.images[chosen], None)
    kids = {
        name: 1000
        * kid(real, extractor.features(generate(load_generator(out), range(count)), None), seed).value
        for name, out in outs.items()
    }
    every = [at * len(slices) // count for at in range(count)]
    floor = 1000 * kid(real, extractor.features(slices.images[every], None), seed).value
    generator = load_generator(outs[asked.name])
    sides = tumour_sides(generator, asked, slices, held_out, dataset.image_kind)
    _draw(sides, args.folder / f"pairs-{seed}.png")
    learning = DetectionComparison(sides, args.detector_images, True, seed)
    comparison = TumourComparison(sides, learning.judge, seed)
    rows: dict[str, Any] = {**comparison.placement(), **comparison.appearance(), **comparison.pairs()}
    rows |= learning.rows()
    measured: dict[str, Row | None] = {
        name: None if row.value is None else (row.value, *(row.interval or (None, None)))
        for name, row in rows.items()
    }
    block = learning.block("")
    curve = {
        f"{one.source}, {one.patients} patients": (
            one.average_precision.value, one.average_precision.low, one.average_precision.high
        )
        for one in block.learned
    }  # fmt: skip
    gains = {
        f"{what}, {one.patients} patients": (found.value, found.low, found.high)
        for one in block.gains
        for what, found in (("instead of augmentation", one.instead), ("besides augmentation", one.besides))
    }
    return {
        "measured": measured,
        "curve": curve,
        "gains": gains,
        "kid": kids[asked.name],
        "plain kid": kids[plain.name],
        "floor": floor,
        "images": count,
        "seconds": first.seconds,
        "images_seen": (first.images_seen, second.images_seen),
        "slices": (
            len(sides.train.boxes),
            sides.train.with_tumour,
            len(sides.held_out.boxes),
            sides.held_out.with_tumour,
        ),
        "extractor": extractor.id,
    }


def _draw(sides: "TumourSides", path: Path) -> None:
    """Rows of pairs: with the tumour and its box, without, and how they differ."""
    import numpy as np

    from chestgan_core.imaging.pictures import image_grid, png_of

    if sides.pairs is None:
        return
    shown, without = (part[:PAIRS_SHOWN] for part in (sides.pairs.shown, sides.pairs.without))
    lines = [np.asarray(part[:, 0]) for part in (shown, without, (shown - without).abs().clamp(0, 1) * 2 - 1)]
    path.write_bytes(png_of(image_grid(np.concatenate(lines)[:, None], PAIRS_SHOWN)))


def _print(found: list[dict[str, Any]], args: argparse.Namespace) -> None:
    first = found[0]
    train, train_tumours, test, test_tumours = first["slices"]
    print(
        f"{train:,} slices to train on, {train_tumours:,} with a tumour; {test:,} held out, {test_tumours:,} with one. "
        f"{args.images:,} images seen with conditions in "
        f"{statistics.mean(one['seconds'] for one in found):.0f} s of a core; "
        f"each detector saw {args.detector_images:,}. "
        f"KID by {first['extractor']}, {first['images']} images a side.\n"
    )
    print("| measure | mean | each seed (95 % interval) |\n|---|---|---|")
    for name in ("kid", "plain kid", "floor"):
        values = [one[name] for one in found]
        print(
            f"| {name} x 1000 | {statistics.mean(values):.0f} | {', '.join(f'{value:.0f}' for value in values)} |"
        )
    for goal, above, below in (
        ("placement over its ceiling (goal: 0.8)", "placement", "placement ceiling"),
        ("detection utility over its ceiling (goal: 0.8)", "detection utility", "detection utility ceiling"),
    ):
        _line(goal, [_ratio(one["measured"], above, below) for one in found])
    _line(
        "KID over that of the plain one (goal: at most 1.15)",
        [(one["kid"] / one["plain kid"], None, None) for one in found],
    )
    for part in ("measured", "curve", "gains"):
        for name in first[part]:
            _line(name if part == "measured" else f"{part}: {name}", [one[part].get(name) for one in found])


def _ratio(measured: Mapping[str, Row | None], above: str, below: str) -> Row | None:
    one, other = measured[above], measured[below]
    return None if one is None or other is None or not other[0] else (one[0] / other[0], None, None)


def _line(name: str, rows: list[Row | None]) -> None:
    known = [row for row in rows if row is not None]
    if not known:
        return
    each = [
        f"{value:.3f}" + ("" if low is None or high is None else f" ({low:.2f} to {high:.2f})")
        for value, low, high in known
    ]
    print(f"| {name} | {statistics.mean(row[0] for row in known):.3f} | {', '.join(each)} |")


if __name__ == "__main__":
    sys.exit(main())
