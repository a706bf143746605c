"""Which recipe makes the best images per minute of one CPU core: the tables of docs/recipes.md.

In: `python -m bench.ablations TABLE` (a table of bench/recipes.py), real DICOM below $CHESTGAN_REAL_DATA, seeds,
minutes. Out: a Markdown table on standard output, and with --out the runs with their images (of people: keep them
private); what is there already is not trained again.
Every training has one thread and the same minutes of CPU time, recipes take turns, and scores are those of reports: all
extractors, held-out patients, at the end of the training, without validation.
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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.recipes import TABLES, Recipe
from bench.sides import write_sides
from chestgan_core.config.experiment import Experiment, load_experiment, parse_experiment
from chestgan_core.local.log_lines import configure_logging

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.evaluation.scoring.feature_metrics import Features
    from chestgan_core.metrics.feature_extractors import Extractor

ROOT = Path(__file__).parent.parent
JUDGES = ("efficientnet-lite0", "efficientnet-lite2", "radiomics")
# Of each image set, once: the coverage and so on of the first judge.
ONCE = (
    "coverage",
    "precision",
    "recall",
    "memorized fraction",
    "pairwise distance",
    "nearest other distance",
)
log = logging.getLogger("chestgan.bench")


def main() -> int:
    """Normalize, train every recipe with every seed, print the table."""
    configure_logging()
    args = _arguments()
    table = TABLES[args.table]
    args.minutes = args.minutes or table.minutes
    if args.one:
        name, seed = json.loads(args.one)
        print(json.dumps(_judged(name, table.recipes[name], seed, args)))
        return 0
    with tempfile.TemporaryDirectory(prefix="chestgan-ablations-") as scratch:
        args.folder = args.out or Path(scratch)
        args.folder.mkdir(parents=True, exist_ok=True)
        _normalize(args.dicom, table.size, args)
        names = args.recipe or list(table.recipes)
        jobs = [(name, seed) for seed in args.seeds for name in names]
        with ThreadPoolExecutor(args.at_once) as pool:
            found = list(pool.map(lambda job: _in_a_process(job, args), jobs))
    _print(names, jobs, found, args)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--recipe", action="append", help="only these of the table")
    parser.add_argument("--minutes", type=float, help="CPU time of each training; default: of the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    real = Path(os.environ.get("CHESTGAN_REAL_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--dicom", type=Path, nargs="+", default=[real / "dicom", real / "dicom-more"])
    parser.add_argument("--held-out-fraction", type=float, default=0.5, help="of the patients")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="trainings side by side")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _normalize(dicom: Sequence[Path], size: int, args: argparse.Namespace) -> None:
    """train.safetensors and held-out.safetensors, split by patient."""
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.recipe import NormalizationRecipe

    if not (args.folder / "held-out.safetensors").exists():
        shard = normalize(dicom, NormalizationRecipe(size=size), Pseudonyms()).shard
        write_sides(shard, args.folder, args.held_out_fraction)


def _in_a_process(job: tuple[str, int], args: argparse.Namespace) -> dict[str, Any]:
    result = _run_folder(*job, args) / "scores.json"
    if not result.is_file():
        command = [sys.executable, "-m", "bench.ablations", args.table, "--one", json.dumps(job)]
        command += ["--folder", str(args.folder), "--minutes", str(args.minutes)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"{job}: {ran.stderr[-2000:]}")
        result.write_text(ran.stdout.splitlines()[-1])
    found: dict[str, Any] = json.loads(result.read_text())
    kids = ", ".join(f"{found['KID'][judge][0]:.0f}" for judge in found["KID"])
    log.info(f"{job[0]}, seed {job[1]}: {found['images_seen']:,} images seen, KID x 1000 {kids}")
    return found


def _run_folder(name: str, seed: int, args: argparse.Namespace) -> Path:
    words = "".join(letter if letter.isalnum() else " " for letter in name)
    folder: Path = args.folder / "-".join([*words.split(), str(seed)])
    return folder


def _experiment(recipe: Recipe, seed: int, size: int) -> Experiment:
    if isinstance(recipe, str):
        shipped = load_experiment(recipe)
        plan = shipped.training.model_copy(update={"validation": None, "snapshots": 0})
        changed = {"dataset": "folder", "window": "lung", "seed": seed, "training": plan}
        return shipped.model_copy(update=changed)
    return parse_experiment({**recipe, "seed": seed, "resolution": size}, "ablation", "bench")


def _judged(name: str, recipe: Recipe, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train, and score as a report does."""
    import torch

    from chestgan_core.evaluation.scoring.evaluate import evaluate
    from chestgan_core.evaluation.scoring.sides import RealImages
    from chestgan_core.imaging.pictures import image_grid, save_png
    from chestgan_core.training.data import load_slices
    from chestgan_core.training.generation import generate
    from chestgan_core.training.loop import train
    from chestgan_core.training.schedule import Budget
    from chestgan_core.training.weights import load_generator

    torch.set_num_threads(1)
    experiment = _experiment(recipe, seed, TABLES[args.table].size)
    slices = load_slices([args.folder / "train.safetensors"], experiment)
    real = load_slices([args.folder / "held-out.safetensors"], experiment)
    out = _run_folder(name, seed, args)
    budget = Budget(minutes=args.minutes, images=None)
    outcome = train(experiment, slices, out, torch.device("cpu"), budget, clock=time.process_time)
    made = generate(load_generator(out), range(len(real))).clamp(-1, 1)
    save_png(image_grid(made[:64]), out / "sheet.png")

    def features(extractor: "Extractor", role: str, images: "Tensor", label: str) -> "Features":
        """Those of real images, computed once for all trainings."""
        if role == "synthetic":
            return extractor.features(images, None)
        import numpy as np

        kept = args.folder / f"{role}-{extractor.id.partition(':')[0]}.npy"
        if not kept.exists():
            np.save(kept, extractor.features(images, None))
        stored: Features = np.load(kept)
        return stored

    report = evaluate(
        RealImages(real.images, real.patients),
        made,
        window=experiment.display_window,
        source_title="ablation",
        image_kind="real",
        model_title=name,
        reference=RealImages(slices.images, slices.patients),
        extractors=JUDGES,
        images=len(real),
        features_of=features,
    )
    first = {row.measure: row for row in reversed(report.rows)}
    kids = [row for row in report.rows if row.measure == "KID"]
    assert all(row.value is not None for row in kids), [row.note for row in kids]
    return {
        "KID": {
            row.extractor: [1000 * (row.value or 0.0), None if row.floor is None else 1000 * row.floor]
            for row in kids
        },
        **{measure: [first[measure].value, first[measure].floor] for measure in ONCE if measure in first},
        "images_seen": outcome.images_seen,
        "rate": outcome.images_per_second,
        "n": len(real),
        "patients": [len(set(slices.patients)), len(set(real.patients))],
    }


def _print(
    names: Sequence[str],
    jobs: Sequence[tuple[str, int]],
    found: Sequence[dict[str, Any]],
    args: argparse.Namespace,
) -> None:
    first = found[0]
    trained, held_out = first["patients"]
    print(
        f"{TABLES[args.table].title}: {args.minutes:g} minutes of one core each, seeds "
        f"{', '.join(map(str, args.seeds))}. {first['n']} images of {held_out} held-out patients, as many generated, "
        f"{trained} patients to train on. KID x 1000, means; each seed in brackets.\n"
    )
    judges = list(first["KID"])
    columns = ["recipe", "images seen", "images/s", *(judge.partition(":")[0] for judge in judges), *ONCE]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name in names:
        runs = [one for job, one in zip(jobs, found, strict=True) if job[0] == name]
        cells = [f"{statistics.mean(run['images_seen'] for run in runs):,.0f}"]
        cells.append(f"{statistics.mean(run['rate'] for run in runs):.0f}")
        for judge in judges:
            kids = [run["KID"][judge][0] for run in runs]
            cells.append(f"{statistics.mean(kids):.0f} ({', '.join(f'{kid:.0f}' for kid in kids)})")
        cells += [_shown([run[measure][0] for run in runs if measure in run]) for measure in ONCE]
        print(f"| {name} | {' | '.join(cells)} |")
    floors = [f"{first['KID'][judge][1]:.0f}" for judge in judges]
    floors += [_shown([first[measure][1]]) if measure in first else "" for measure in ONCE]
    print(f"| real patients (floor) | | | {' | '.join(floors)} |")


def _shown(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "not measured"
    mean = statistics.mean(known)
    return f"{mean:.2f}" if abs(mean) < 10 else f"{mean:.1f}"


if __name__ == "__main__":
    sys.exit(main())
