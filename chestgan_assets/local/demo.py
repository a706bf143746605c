"""`make demo`: the whole chain through Dagster in one process, on phantoms or on $CHESTGAN_FOLDER.

Input: $CHESTGAN_SOURCE (phantom or folder), $CHESTGAN_EXPERIMENT (default: the demo of that source). Output: progress
on standard error; the scorecard, the address of the set and the command that fetches it on standard output; a contact
sheet, asked tumours and the report in the local folder. Exit status 0; 1 with one line that says what failed; 2 for
wrong usage.
"""

import logging
import os
import shutil
import sys
import time
from pathlib import Path

import dagster as dg

from chestgan_assets.automation.patient_partitions import register_all
from chestgan_assets.execution.interruptions import was_interrupted
from chestgan_assets.local.installation import local_installation, process_environment
from chestgan_assets.local.orphaned_runs import demo_lock
from chestgan_core.config.experiment import Experiment, load_experiment
from chestgan_core.config.names import patient_partition
from chestgan_core.errors import BadExperiment, ChestganError, nearest
from chestgan_core.local.files import file_error
from chestgan_core.local.home import home
from chestgan_core.local.log_lines import LINES, configure_logging
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.store.store import Store

EXPERIMENTS = {"phantom": "demo", "folder": "demo-folder"}
# Of their trainings, measured on two idle cores without a GPU.
USUAL_MINUTES = {"demo": "a minute and a half", "demo-folder": "a minute and a half"}
# The UI shows what Dagster logs; at the terminal the progress of the work is enough.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

_log = logging.getLogger(__name__)


class DemoFailed(Exception):
    """A step of the chain failed; the message is the line of its error. transient: it may succeed another time."""

    def __init__(self, message: str, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


def main() -> int:
    """Run the demo; returns the exit status."""
    configure_logging()
    source = os.environ.get("CHESTGAN_SOURCE", "phantom")
    if source not in EXPERIMENTS:
        _log.error("CHESTGAN_SOURCE: %r is not a source; %s", source, nearest(source, EXPERIMENTS))
        return 2
    name = os.environ.get("CHESTGAN_EXPERIMENT", EXPERIMENTS[source])
    started = time.monotonic()
    try:
        experiment = load_experiment(name)
        if experiment.dataset != source:
            raise BadExperiment(name, f"is for the dataset {experiment.dataset}", f"choose one for {source}")
        with (
            local_installation() as installed,
            demo_lock(installed.dagster_home),
            process_environment(installed.variables),
        ):
            _log.info("demo: %s", _estimate(experiment))
            materialize_chain(installed.store, source, name)
            print(_summary(installed.store, name, time.monotonic() - started))
    except BadExperiment as error:
        _log.error("demo: %s", error)
        return 2
    except (ChestganError, DemoFailed) as error:
        _log.error("demo: %s", error)
        return 1
    except OSError as error:
        _log.error("demo: %s", file_error(Path(error.filename or home()), error))
        return 1
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        _log.error("demo: interrupted; run it again to resume from what is complete")
        return 1
    return 0


def _estimate(experiment: Experiment) -> str:
    """What is to come, and how long that takes."""
    plan = experiment.training
    parts = [] if plan.images is None else [f"{plan.images:,} images"]
    parts += [] if plan.epochs is None else [f"{plan.epochs:g} epochs"]
    limit = "" if plan.minutes is None else f", {plan.minutes:g} minutes at most"
    usual = (
        f" (about {USUAL_MINUTES[experiment.name]} on two idle cores)"
        if experiment.name in USUAL_MINUTES
        else ""
    )
    judged = ""
    if experiment.conditions.tumour is not None and experiment.evaluation.detector_images:
        judged = f"; the report trains detectors of tumours, on {experiment.evaluation.detector_images:,} images each"
    return f"prepares the patients, then trains on {' or '.join(parts) or 'the clock'}{usual}{limit}{judged}"


def materialize_chain(store: Store, dataset: str, experiment: str) -> None:
    """series_catalog, every patient, tumour boxes, training_set, then the experiment. Raises DemoFailed at the first
    failure.
    """
    from chestgan_assets.definitions import defs
    from chestgan_assets.execution.batch_size import batch_size, runs_of, tags_of
    from chestgan_assets.partitions import ANNOTATED, PATIENT_PARTITIONS
    from chestgan_assets.tags import PARTITION_TAG, partitions_in_words

    with dg.DagsterInstance.get() as instance:

        def run(job: str, *partitions: str) -> None:
            tags = tags_of(partitions)
            _log.info("\n== %s %s", job, partitions_in_words(tags), extra=LINES)
            result = defs.resolve_job_def(job).execute_in_process(
                partition_key=tags.get(PARTITION_TAG),
                tags=dict(tags),
                instance=instance,
                run_config=QUIET,
                raise_on_error=False,
            )
            if not result.success:
                if any(map(was_interrupted, result.all_events)):
                    raise KeyboardInterrupt
                raise _failure(result)

        run("series_catalog_job", dataset)
        # Not all registered partitions: some may be of a folder that was used before.
        listed = read_catalog(store, dataset).patients
        register_all(instance, dataset, listed)
        wanted = [patient_partition(dataset, patient) for patient in listed]
        registered = instance.get_dynamic_partitions(PATIENT_PARTITIONS)
        for group in runs_of(wanted, registered, batch_size()):
            try:
                run("patient_slices_job", *group)
            except DemoFailed as error:
                # As in a backfill: a patient without usable slices does not stop the others, a store that is down does.
                if error.transient:
                    raise
                _log.warning("continues without them: %s", error)
        if dataset in ANNOTATED:
            run("tumour_annotations_job", dataset)
        run("training_set_job", dataset)
        run("synthetic_set_job", experiment)


def _failure(result: dg.ExecuteInProcessResult) -> DemoFailed:
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                # Whether another attempt can help is decided by the step.
                retried = any(other.is_step_up_for_retry for other in result.all_events)
                return DemoFailed(f"{event.step_key}: {data.user_failure_data.description}", retried)
            error = data.error and (
                data.error.cause or data.error
            )  # with retries the outer one only counts them
            return DemoFailed(
                f"{event.step_key}: {error.message.strip() if error else 'failed'}", transient=False
            )
    return DemoFailed("the run failed; look at it in the UI (make dev)", transient=False)


def _summary(store: Store, experiment: str, seconds: float) -> str:
    """The scorecard, and where everything is. Writes pictures and report into the local folder."""
    from chestgan_core.evaluation.stored_report import latest_report
    from chestgan_core.publishing.versions.finding import newest

    report = latest_report(store, experiment)
    folder = home() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    sheet = folder / f"{experiment}-contact-sheet.png"
    sheet.write_bytes(report.contact_sheet_png)
    page = folder / f"{experiment}-report.html"
    page.write_text(report.html, encoding="utf-8")
    page.with_suffix(".pdf").write_bytes(report.pdf)
    asked = ""
    if report.tumours_png:
        tumours = folder / f"{experiment}-tumours.png"
        tumours.write_bytes(report.tumours_png)
        asked = f"asked tumours   {tumours}\n"
    command = shutil.which("chestgan", path=str(Path(sys.executable).parent)) or "chestgan"
    return (
        f"\n{report.payload.as_text()}\n\n"
        f"synthetic set   {store.uri(newest(store, experiment).folder)}\n"
        f"fetch it        {command} sets fetch {experiment} --out {experiment}-set\n"
        f"contact sheet   {sheet}\n"
        f"{asked}"
        f"report          {page}, with a PDF beside it\n"
        f"lineage         make dev, then open the address that it prints\n"
        f"portal          make dev starts it, too; alone: {command} portal\n"
        f"took {seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
