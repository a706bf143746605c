"""`make demo`: the whole chain through Dagster in one process, on phantoms or on $CHESTGAN_FOLDER.

In: $CHESTGAN_SOURCE (phantom or folder), $CHESTGAN_EXPERIMENT (by default the demo of that source). Out, on
standard error: progress, the scorecard, where the set is and how to fetch it; a contact sheet PNG and the report
in the local folder. Exit status 0, 1 with one line that says what failed, or 2 for wrong use.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import dagster as dg

from chestgan_assets.automation.patient_partitions import register_all
from chestgan_assets.local.environment import local_environment
from chestgan_assets.local.orphaned_runs import one_of_the_demos
from chestgan_core.config.dataset import patient_partition
from chestgan_core.config.experiment import load_experiment
from chestgan_core.errors import BadExperiment, ChestganError
from chestgan_core.local.home import home
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.store.store import Store

EXPERIMENTS = {"phantom": "demo", "folder": "demo-folder"}
# The UI shows what Dagster logs; at the terminal the progress of the work is enough.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class DemoFailed(Exception):
    """A step of the chain failed; the message is the line of its error. passing: it may go well another time."""

    def __init__(self, message: str, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


def main() -> int:
    """Run the demo; returns the exit status."""
    source = os.environ.get("CHESTGAN_SOURCE", "phantom")
    if source not in EXPERIMENTS:
        print(f"CHESTGAN_SOURCE: is {source!r}; choose one of {', '.join(EXPERIMENTS)}", file=sys.stderr)
        return 2
    name = os.environ.get("CHESTGAN_EXPERIMENT", EXPERIMENTS[source])
    started = time.monotonic()
    try:
        experiment = load_experiment(name)
        if experiment.dataset != source:
            raise BadExperiment(name, f"is for the dataset {experiment.dataset}", f"choose one for {source}")
        with local_environment() as environment, one_of_the_demos(Path(environment["DAGSTER_HOME"])):
            os.environ.update(environment)
            materialize_chain(source, name)
            _tell(name, time.monotonic() - started)
    except BadExperiment as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except (ChestganError, DemoFailed) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        print("demo: interrupted; run it again and it goes on from what is complete", file=sys.stderr)
        return 1
    return 0


def materialize_chain(dataset: str, experiment: str) -> None:
    """series_catalog, every patient, training_set, then the experiment. Raises DemoFailed at the first failure."""
    from chestgan_assets.definitions import defs

    with dg.DagsterInstance.get() as instance:

        def run(job: str, partition: str) -> None:
            print(f"\n== {job} {partition}", file=sys.stderr)
            result = defs.resolve_job_def(job).execute_in_process(
                partition_key=partition, instance=instance, run_config=QUIET, raise_on_error=False
            )
            if not result.success:
                raise _failure(result)

        run("catalog", dataset)
        # Not all registered partitions: some may be of a folder that was used before.
        listed = read_catalog(Store.open(), dataset).patients
        register_all(instance, dataset, listed)
        for patient in listed:
            try:
                run("patient_slices", patient_partition(dataset, patient))
            except DemoFailed as error:
                # As in a backfill: a patient without usable slices does not stop the others, a store that is down does.
                if error.passing:
                    raise
                print(f"goes on without this patient: {error}", file=sys.stderr)
        run("split", dataset)
        run("synthetic_set", experiment)


def _failure(result: dg.ExecuteInProcessResult) -> DemoFailed:
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                # Steps say themselves whether another try can help.
                tried_again = any(other.is_step_up_for_retry for other in result.all_events)
                return DemoFailed(f"{event.step_key}: {data.user_failure_data.description}", tried_again)
            error = data.error
            return DemoFailed(
                f"{event.step_key}: {error.message.strip() if error else 'failed'}", passing=False
            )
    return DemoFailed("the run failed; look at it in the UI (make dev)", passing=False)


def _tell(experiment: str, seconds: float) -> None:
    from chestgan_core.evaluation.stored_report import latest_report
    from chestgan_core.publishing.fetching import newest

    store = Store.open()
    report = latest_report(store, experiment)
    folder = home() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    sheet = folder / f"{experiment}-contact-sheet.png"
    sheet.write_bytes(report.contact_sheet_png)
    page = folder / f"{experiment}-report.html"
    page.write_text(report.html, encoding="utf-8")
    page.with_suffix(".pdf").write_bytes(report.pdf)
    command = shutil.which("chestgan", path=str(Path(sys.executable).parent)) or "chestgan"
    print(
        f"\n{report.text}\n\n"
        f"synthetic set   {store.uri(newest(store, experiment).folder)}\n"
        f"fetch it        {command} sets fetch {experiment} --out {experiment}-set\n"
        f"contact sheet   {sheet}\n"
        f"report          {page}, and as PDF beside it\n"
        f"lineage         make dev, then open the address it prints\n"
        f"took {seconds:.0f} s",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
