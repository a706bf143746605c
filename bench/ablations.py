"""Which loss, with or without augmentation, makes the best images per minute of one CPU core.

In: `python -m bench.ablations`, real DICOM below $CHESTGAN_REAL_DATA (at least two patients), seeds, minutes. Out:
Markdown tables on standard output, and with --out the runs with their images (of people: keep them private).
Every training has one thread and the same minutes of CPU time, so that other work on the machine changes little; as
many run at once as there are cores. Held-out patients are those of the split that a training set would make; every
score is of the end of a training, without validation.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.sides import write_sides
from chestgan_core.config.experiment import load_experiment, parse_experiment
from chestgan_core.local.log_lines import configure_logging

ROOT = Path(__file__).parent.parent
log = logging.getLogger("chestgan.bench")
AUGMENTATION: dict[str, Any] = {}
ADAM = {"lr": 1e-3, "beta1": 0.5, "beta2": 0.99}
NARROW = {"generator_width": 16, "discriminator_width": 16}
RECIPES: dict[str, dict[str, Any]] = {
    "cross-entropy (DCGAN)": {
        "network": {"family": "dcgan", **NARROW},
        "training": {"loss": {"kind": "cross-entropy", "real_targets": [0.9, 0.9]}, "optimizer": ADAM},
    },
    "hinge + spectral norm": {
        "network": {"family": "spectral", **NARROW},
        "training": {"loss": {"kind": "hinge"}, "optimizer": ADAM},
    },
    "relativistic + spectral norm": {
        "network": {"family": "spectral", **NARROW},
        "training": {"loss": {"kind": "relativistic", "gamma": [0, 0]}, "optimizer": ADAM},
    },
    "r3 (relativistic, R1 + R2 every 4th step)": {
        "network": {"family": "r3", "latent_dim": 128, **NARROW},
        "training": {
            "loss": {"kind": "relativistic", "gamma": [1, 0.1], "penalty_every": 4},
            "optimizer": {"lr": 5e-4, "final_lr": 1e-4, "beta1": 0.0, "beta2": 0.9, "final_beta2": 0.99},
        },
    },
}
COMPLETE_RECIPES = ("thesis-dcgan-final", "lung-spectral-64")


def main() -> int:
    """Normalize, train every recipe, print the tables."""
    configure_logging()
    args = _arguments()
    if args.one:
        print(json.dumps(_train(json.loads(args.one), args)))
        return 0
    with tempfile.TemporaryDirectory(prefix="chestgan-ablations-") as scratch:
        folder = args.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        _normalize(args.dicom, folder)
        jobs = list(_jobs(args))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for job, found in zip(
                jobs, pool.map(lambda job: _in_a_process(job, folder, args), jobs), strict=True
            ):
                job.update(found)
                log.info(
                    f"{job['name']}, augmentation {job['augmentation']}, seed {job['seed']}: KID {found['kid']:.0f}"
                )
        _print(jobs, args)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.5, help="CPU time of each ablation")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--compared-minutes", type=float, default=10.0, help="of the two complete recipes; 0 skips them"
    )
    real = Path(os.environ.get("CHESTGAN_REAL_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--dicom", type=Path, default=real / "dicom")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _jobs(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The longest first, so that they do not run alone at the end."""
    if args.compared_minutes:
        for name in COMPLETE_RECIPES:
            yield {"name": name, "augmentation": "its own", "seed": 0, "minutes": args.compared_minutes}
    for seed in range(args.seeds):
        for name in RECIPES:
            for augmentation in ("off", "on"):
                yield {"name": name, "augmentation": augmentation, "seed": seed, "minutes": args.minutes}


def _normalize(dicom: Path, folder: Path) -> None:
    """train.safetensors and held-out.safetensors, with the split of a training set."""
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.recipe import NormalizationRecipe

    shard = normalize([dicom], NormalizationRecipe(size=64), Pseudonyms()).shard
    write_sides(shard, folder)


def _in_a_process(job: dict[str, Any], folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.ablations", "--one", json.dumps(job), "--folder", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"{job}: {ran.stderr[-2000:]}")
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def _train(job: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    import torch

    from chestgan_core.metrics.distances import fid, kid
    from chestgan_core.metrics.feature_extractors import open_extractor
    from chestgan_core.metrics.precision_recall import precision_recall
    from chestgan_core.training.data import load_slices, load_training_slices
    from chestgan_core.training.generation import generate
    from chestgan_core.training.loop import train
    from chestgan_core.training.schedule import Budget
    from chestgan_core.training.weights import load_generator

    torch.set_num_threads(1)
    if job["name"] in RECIPES:
        fields = RECIPES[job["name"]]
        training = {**fields["training"], "batch_size": 16, "ema_images": 4000, "minutes": 1}
        if job["augmentation"] == "on":
            training["augmentation"] = AUGMENTATION
        fields = {
            "dataset": "folder",
            "network": fields["network"],
            "training": training,
            "seed": job["seed"],
        }
        experiment = parse_experiment(fields, "ablation", "bench")
    else:
        recipe = load_experiment(job["name"])
        plan = recipe.training.model_copy(update={"validation": None, "snapshots": 0})
        experiment = recipe.model_copy(
            update={"dataset": "folder", "window": "lung", "seed": job["seed"], "training": plan}
        )
    slices = load_training_slices([args.folder / "train.safetensors"], experiment)
    real = load_slices([args.folder / "held-out.safetensors"], experiment).images
    words = f"{job['name']} {job['augmentation']} {job['seed']}".replace("(", "").replace(")", "")
    out = args.folder / "-".join(words.split())
    budget = Budget(minutes=job["minutes"], images=None)
    outcome = train(experiment, slices, out, torch.device("cpu"), budget, clock=time.process_time)
    extractor = open_extractor()
    fake = extractor.features(generate(load_generator(out), range(len(real))), None)
    reference = extractor.features(real, None)
    # As many training slices, evenly spaced: real against real.
    every = [at * len(slices) // len(real) for at in range(len(real))]
    floor = extractor.features(slices.images[every], None)
    found = precision_recall(reference, fake)
    return {
        "kid": 1000 * kid(reference, fake, 0).value,
        "fid": fid(reference, fake),
        "floor": 1000 * kid(reference, floor, 0).value,
        "coverage": found.coverage,
        "recall": found.recall,
        "images_seen": outcome.images_seen,
        "rate": outcome.images_per_second,
        "n": len(real),
        "extractor": extractor.id,
    }


def _print(jobs: list[dict[str, Any]], args: argparse.Namespace) -> None:
    first = jobs[0]
    print(
        f"Extractor {first['extractor']}; {first['n']} held-out and {first['n']} generated slices; "
        f"floor (held-out against training patients): KID x 1000 {first['floor']:.0f}.\n"
    )
    if args.compared_minutes:
        print(f"{args.compared_minutes:g} minutes of one core, one seed:\n")
        print("| recipe | images seen | images/s | KID x 1000 | FID | coverage |\n|---|---|---|---|---|---|")
        for job in jobs[: len(COMPLETE_RECIPES)]:
            print(
                f"| {job['name']} | {job['images_seen']:,} | {job['rate']:.1f} | {job['kid']:.0f} | {job['fid']:.0f} | "
                f"{job['coverage']:.0%} |"
            )
        print()
    print(f"{args.minutes:g} minutes of one core, {args.seeds} seeds, KID x 1000 (each seed):\n")
    print("| loss | augmentation | images/s | KID, mean | each | coverage, mean |\n|---|---|---|---|---|---|")
    for name in RECIPES:
        for augmentation in ("off", "on"):
            runs = [job for job in jobs if (job["name"], job["augmentation"]) == (name, augmentation)]
            kids = [job["kid"] for job in runs]
            print(
                f"| {name} | {augmentation} | {statistics.mean(job['rate'] for job in runs):.0f} | "
                f"{statistics.mean(kids):.0f} | {', '.join(f'{value:.0f}' for value in kids)} | "
                f"{statistics.mean(job['coverage'] for job in runs):.0%} |"
            )


if __name__ == "__main__":
    sys.exit(main())
