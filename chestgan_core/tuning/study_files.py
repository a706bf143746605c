"""A study on loose shards, without a store and without Dagster.

In: files of slices to train on, and of other patients. Out: the trials in the storage of studies, and in a folder the
report, trials.parquet and the tuned experiment. Several processes work at once; each is one that can be killed.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from chestgan_core.config.dataset import ImageKind
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.files import replacing
from chestgan_core.local.scratch import scratch_folder
from chestgan_core.training.devices import pick_device
from chestgan_core.tuning.data import Slices
from chestgan_core.tuning.plan import StudyPlan, Wanted
from chestgan_core.tuning.report_files import BEST, report_files
from chestgan_core.tuning.space import SearchSpace
from chestgan_core.tuning.storage import BEAT, GRACE, study_storage
from chestgan_core.tuning.study import OpenStudy, find_study, load_study, open_study
from chestgan_core.tuning.table import StudyTable, read_table
from chestgan_core.tuning.tuned import tuned_name
from chestgan_core.tuning.worker import work


@dataclass(frozen=True)
class Shards:
    """What each worker loads by itself. home: the local folder, for scratch and the embedded storage. beat, grace:
    seconds, see storage.py.
    """

    train: Sequence[Path]
    held_out: Sequence[Path]
    device: str
    home: Path
    threads: int | None = None
    beat: int = BEAT
    grace: int = GRACE


def study_files(
    shards: Shards,
    experiment: Experiment,
    space: SearchSpace,
    wanted: Wanted,
    parallel: int,
    title: str,
    image_kind: ImageKind,
) -> OpenStudy:
    """Run the study of an experiment until it has as many trials as are wanted.

    Raises BadInput, NotAvailable, StoreUnreachable; ChestganError where workers died: the next call goes on.
    """
    slices = Slices(shards.train, shards.held_out, experiment)
    plan = StudyPlan.of(experiment, space, slices.data("", title, image_kind), wanted)
    storage = study_storage(shards.home, shards.beat, shards.grace)
    study = open_study(storage, plan, slices.yardstick(plan, pick_device(shards.device)))
    if parallel == 1:
        _work(study, slices, shards, wanted.trials)
        return study
    del slices
    # A fresh interpreter each: CUDA does not survive a fork.
    start = multiprocessing.get_context("spawn").Process
    threads = shards.threads or max(1, (os.cpu_count() or 1) // parallel)
    told = (plan.name, shards, wanted.trials, threads)
    workers = [
        start(target=work_in_process, args=told, name=f"worker {number}") for number in range(parallel)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if lost := [worker for worker in workers if worker.exitcode]:
        cause = f"{len(lost)} of its {parallel} workers died or failed"
        raise ChestganError(f"study {plan.name}", cause, "read the lines above, and run it again: it goes on")
    return study


def work_in_process(name: str, shards: Shards, trials: int, threads: int | None) -> None:
    """What a worker process does; its exit status is 1 where it failed, with one line on standard error."""
    if threads:
        torch.set_num_threads(threads)
    try:
        study = load_study(study_storage(shards.home, shards.beat, shards.grace), name)
        _work(study, Slices(shards.train, shards.held_out, study.plan.experiment), shards, trials)
    except ChestganError as error:
        print(f"chestgan: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)


def write_report(table: StudyTable, folder: Path) -> list[Path]:
    """Write the report; the best configuration under the name of its experiment. Raises BadInput: no trial ended."""
    if not table.rows:
        raise BadInput(f"study {table.plan.name}", "has no trial that ended", "run trials first")
    written = []
    for name, content in report_files(table).items():
        path = folder / (f"{tuned_name(table.plan.experiment.name)}.yaml" if name == BEST else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        written.append(path)
    return written


def _work(study: OpenStudy, slices: Slices, shards: Shards, trials: int) -> None:
    if shards.threads:
        torch.set_num_threads(shards.threads)
    patience = shards.beat + shards.grace
    with scratch_folder(shards.home) as folder:
        material = slices.material(study.plan, pick_device(shards.device), folder)
        work(study, material, trials, patience=patience)


def study_table(home: Path, experiment: str) -> StudyTable:
    """The trials of the study of an experiment that was opened last. Raises NotInStore."""
    return read_table(find_study(study_storage(home), experiment))
