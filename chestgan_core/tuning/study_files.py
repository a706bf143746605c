"""A study on files of slices, without a store and without Dagster.

In: files of slices to train on, and of other patients. Out: the trials in the storage of studies; in a folder, the
report, trials.parquet and the tuned experiment. Several processes may work at once, and any of them may be killed.
"""

import logging
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from chestgan_core.config.dataset import ImageKind
from chestgan_core.config.experiment import Experiment
from chestgan_core.config.names import tuned_name
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.files import replacing
from chestgan_core.local.log_lines import configure_logging
from chestgan_core.local.scratch import scratch_folder
from chestgan_core.slices.marks import marks_from_file
from chestgan_core.training.devices import pick_device
from chestgan_core.tuning.data import StudySlices
from chestgan_core.tuning.plan import StudyPlan, StudySettings
from chestgan_core.tuning.report_files import BEST, report_files
from chestgan_core.tuning.space import SearchSpace
from chestgan_core.tuning.storage import GRACE, HEARTBEAT, study_storage
from chestgan_core.tuning.study import OpenStudy, find_study, load_study, open_study
from chestgan_core.tuning.table import StudyTable, read_table
from chestgan_core.tuning.worker import work

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shards:
    """What each worker loads by itself.

    home: the local folder, for scratch and the embedded storage. threads: of each process; None: all, divided among
    the workers. heartbeat, grace: seconds between two heartbeats of a trial, and without one until it counts as dead.
    marks: slices.parquet of the training set that the slices are of, if there is one.
    """

    train: Sequence[Path]
    held_out: Sequence[Path]
    device: str
    home: Path
    threads: int | None = None
    heartbeat: int = HEARTBEAT
    grace: int = GRACE
    marks: Path | None = None


def run_study(
    shards: Shards,
    experiment: Experiment,
    space: SearchSpace,
    settings: StudySettings,
    workers: int,
    title: str,
    image_kind: ImageKind,
) -> OpenStudy:
    """Run the study of an experiment on files until it has the requested number of trials; resume one that is there.

    Args:
        shards: files of int16 slices in HU (as `chestgan normalize` writes them), device, threads and local folder.
        experiment: what is tuned; its first trial is the experiment unchanged.
        space: the fields that vary.
        settings: number of trials, budget and validations per trial, pruner.
        workers: processes; 1 runs in this one.
        title: the name of the slices in the report.
        image_kind: "real" or "phantom", the word for slices that are not synthetic.

    Returns:
        The study; `read_table` makes rows of its trials.

    Raises:
        BadInput: files that cannot be used, or a batch larger than the set.
        NotAvailable: the extractor's weights or the database driver are not installed.
        StoreUnreachable: the database of studies does not answer.
        ChestganError: workers died; calling again resumes the study.

    Examples:
        >>> from chestgan_core.config.experiment import load_experiment
        >>> from chestgan_core.local.home import home
        >>> from chestgan_core.tuning.space import load_space
        >>> shards = Shards([Path("slices.safetensors")], [Path("other-patients.safetensors")], "auto", home())
        >>> settings = StudySettings(trials=12, minutes=2)
        >>> study = run_study(
        ...     shards, load_experiment("demo"), load_space("modern"), settings, 1, "phantoms", "phantom"
        ... )  # doctest: +SKIP
        >>> files = write_report(read_table(study), Path("study"))  # doctest: +SKIP
    """
    slices = _slices(shards, experiment)
    plan = StudyPlan.of(experiment, space, slices.data("", title, image_kind), settings)
    storage = study_storage(shards.home, shards.heartbeat, shards.grace)
    study = open_study(storage, plan, slices.kid_floor(plan, pick_device(shards.device)))
    if workers == 1:
        _work(study, slices, shards, settings.trials)
        return study
    del slices
    # A fresh interpreter each: CUDA does not survive a fork.
    start = multiprocessing.get_context("spawn").Process
    threads = shards.threads or max(1, (os.cpu_count() or 1) // workers)
    arguments = (plan.name, shards, settings.trials, threads)
    processes = [
        start(target=work_in_process, args=arguments, name=f"worker {number}") for number in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if lost := [process for process in processes if process.exitcode]:
        cause = f"{len(lost)} of its {workers} workers died or failed"
        raise ChestganError(f"study {plan.name}", cause, "read the lines above, and run it again: it resumes")
    return study


def work_in_process(name: str, shards: Shards, trials: int, threads: int | None) -> None:
    """The main function of a worker process. Exit status 1, with one line on standard error, where it failed."""
    configure_logging()
    if threads:
        torch.set_num_threads(threads)
    try:
        study = load_study(study_storage(shards.home, shards.heartbeat, shards.grace), name)
        _work(study, _slices(shards, study.plan.experiment), shards, trials)
    except ChestganError as error:
        log.error(f"chestgan: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)


def _slices(shards: Shards, experiment: Experiment) -> StudySlices:
    marks = marks_from_file(shards.marks) if shards.marks else None
    return StudySlices(shards.train, shards.held_out, experiment, marks)


def write_report(table: StudyTable, folder: Path) -> list[Path]:
    """Write the report of a study, and its best configuration as `<experiment>-tuned.yaml`.

    Args:
        table: the trials, as `study_table` returns them.
        folder: created where it does not exist.

    Returns:
        The files: trials.parquet, figures/*.png, report.html, report.pdf, and the YAML file where a trial completed.

    Raises:
        BadInput: no trial has ended.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.local.home import home
        >>> files = write_report(study_table(home(), "demo"), Path("study"))  # doctest: +SKIP
    """
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


def _work(study: OpenStudy, slices: StudySlices, shards: Shards, trials: int) -> None:
    if shards.threads:
        torch.set_num_threads(shards.threads)
    patience = shards.heartbeat + shards.grace
    with scratch_folder(shards.home) as folder:
        inputs = slices.inputs(study.plan, pick_device(shards.device), folder)
        work(study, inputs, trials, patience=patience)


def study_table(home: Path, experiment: str) -> StudyTable:
    """The trials of the study of an experiment that was opened last, as they are now.

    Args:
        home: the local folder with the embedded storage (not read where $CHESTGAN_STUDY_STORAGE is set).
        experiment: the name of the experiment that is tuned.

    Returns:
        One row per complete or pruned trial, with plan, KID floor and importances.

    Raises:
        NotInStore: the storage has no such study.
        StoreUnreachable: the database does not answer.

    Examples:
        >>> from chestgan_core.local.home import home
        >>> table = study_table(home(), "demo")  # doctest: +SKIP
        >>> table.best.kid, table.floor.kid  # not times 1000  # doctest: +SKIP
        (0.21, 0.03)
    """
    return read_table(find_study(study_storage(home), experiment))
