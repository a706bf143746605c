"""What the commands of `chestgan` do.

In: the parsed arguments. Out: the answer as JSON values, and the same as text for people. Everything heavy is imported
by the command that needs it.
"""

import argparse
import json
from pathlib import Path
from typing import Any, TypeAlias

from chestgan_core.errors import BadExperiment
from chestgan_core.local.home import home
from chestgan_core.local.progress import Progress

Answer: TypeAlias = dict[str, Any]


def catalog(asked: argparse.Namespace) -> tuple[Answer, str]:
    """The series or the pictures of a collection and their fates; no store is needed."""
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.sources.catalog.listing import list_named
    from chestgan_core.sources.catalog.table import as_text

    if asked.dataset and not dataset_named(asked.dataset).has_hounsfield:
        from chestgan_core.sources.images.collection import summarise_images

        summary = summarise_images(asked.dataset, Path(asked.source), home())
        return summary.as_json(), summary.text()
    dataset, listed = list_named(asked.source, asked.dataset, home())
    answer = {
        "dataset": dataset.name,
        **listed.summary().as_json(),
        "files": listed.files,
        "left_out_files": listed.left_out,
        "selected_series": [{"patient": row.patient, "key": row.key} for row in listed.selected],
    }
    return answer, as_text(f"{asked.source}, with the rules of {dataset.name}", listed)


def audit(asked: argparse.Namespace) -> tuple[Answer, str]:
    """What in DICOM files may still say who the patient is; exit status 1 where that stops a private folder."""
    from chestgan_core.dicom.audit import audit_paths

    with Progress("audit", None, "files") as progress:
        report = audit_paths(asked.path, progress)
    stopping = report.stopping()
    lines = [
        f"{found:36} {count:6}  {'STOPS' if found in stopping else 'told '}  {found.meaning}"
        for found, count in report.findings.items()
    ]
    verdict = "a private folder would be refused" if stopping else "nothing stops a private folder"
    answer = {
        **report.as_json(),
        "stopping": [str(found) for found in stopping],
        "exit_status": 1 if stopping else 0,
    }
    return answer, "\n".join([f"{report.files} DICOM files", *lines, verdict])


def normalize(asked: argparse.Namespace) -> tuple[Answer, str]:
    """DICOM files to a shard of normalized slices."""
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.reasons import in_words
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.recipe import NormalizationRecipe
    from chestgan_core.slices.shards import write_shard

    names = Pseudonyms() if asked.public_ids else Pseudonyms.private(home())
    with Progress("normalize", None, "slices") as progress:
        done = normalize(asked.path, NormalizationRecipe(size=asked.size, trim=asked.trim), names, progress)
    write_shard(done.shard, asked.out)
    kept = f"{done.report.kept} slices of {done.report.patients} patient(s) kept"
    answer = {"out": str(asked.out), **done.report.as_json()}
    return answer, f"{kept}; left out: {in_words(done.report.left_out)}\nwritten to {asked.out}"


def train(asked: argparse.Namespace) -> tuple[Answer, str]:
    """Train the generator of an experiment on shards."""
    import torch

    from chestgan_core.config.experiment import load_experiment
    from chestgan_core.training.data import load_training_slices
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.loop import train
    from chestgan_core.training.schedule import Budget
    from chestgan_core.training.validation import held_out_judge

    experiment = load_experiment(asked.experiment)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    device = pick_device(asked.device)
    slices = load_training_slices(asked.data, experiment)
    if asked.minutes or asked.images:
        budget = Budget(minutes=asked.minutes, images=asked.images)
    else:
        budget = Budget.of(experiment.training, len(slices))
    judge = held_out_judge(asked.held_out, experiment, device) if asked.held_out else None
    outcome = train(experiment, slices, asked.out, device, budget, judge)
    return outcome.as_json(), f"{outcome.line()}\nwritten to {asked.out}"


def generate(asked: argparse.Namespace) -> tuple[Answer, str]:
    """Images from numbered seeds."""
    from chestgan_core.publishing.loose_images import write_images
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.weights import load_generator

    generator = load_generator(asked.model, pick_device(asked.device))
    written = write_images(generator, range(asked.seed, asked.seed + asked.count), asked.out)
    told = (
        f"{asked.count} images of seeds {asked.seed} to {asked.seed + asked.count - 1} written to {asked.out}"
    )
    return written, told


def evaluate(asked: argparse.Namespace) -> tuple[Answer, str]:
    """Measures of generated against real slices."""
    from chestgan_core.evaluation.evaluate_files import evaluate_files
    from chestgan_core.evaluation.pages.report_page import write_report
    from chestgan_core.imaging.windows import WINDOWS

    report = evaluate_files(
        asked.real,
        asked.fake,
        WINDOWS[asked.window] if asked.window else None,
        extractor=asked.extractor,
        seed=asked.seed,
        reference=asked.train or (),
        source_title=asked.source,
        image_kind="phantom" if asked.phantom else "real",
        device=asked.device,
        discriminator=asked.discriminator,
    )
    if asked.out:
        write_report(report, asked.out)
    return report.as_json(), report.as_text()


def report(asked: argparse.Namespace) -> tuple[Answer, str]:
    """The newest report of an experiment, as files."""
    from chestgan_core.evaluation.stored_report import fetch_report
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        fetched = fetch_report(store, asked.experiment, asked.out)
    answer = {"folder": str(asked.out), "uri": fetched.uri, **fetched.told}
    return answer, f"{fetched.text}\nwritten to {asked.out}: report.html, report.pdf, report.json, figures"


def compare(asked: argparse.Namespace) -> tuple[Answer, str]:
    """The newest reports of several experiments beside each other."""
    from chestgan_core.evaluation.comparison.comparison import compare
    from chestgan_core.evaluation.comparison.page import as_text, write_comparison
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        comparison = compare(store, asked.experiments)
    files = write_comparison(comparison, "Experiments compared", asked.out)
    answer = {**comparison.as_json(), "folder": str(asked.out), "exit_status": 1 if comparison.reasons else 0}
    return answer, f"{as_text(comparison)}\nwritten to {asked.out}: {', '.join(file.name for file in files)}"


def experiments(asked: argparse.Namespace) -> tuple[Answer, str]:
    """All experiments, one in full, or what is wrong with some; exit status 2 where something is."""
    from chestgan_core.config.experiment import experiment_files, load_experiment

    files = experiment_files()
    if asked.action == "show":
        experiment = load_experiment(asked.name)
        answer = experiment.model_dump(mode="json")
        return answer, json.dumps(answer, indent=2)
    if asked.action == "validate":
        names = asked.names or list(files)
        faults: dict[str, str] = {}
        for name in names:
            try:
                load_experiment(name)
            except BadExperiment as error:
                faults[name] = str(error)
        told = "\n".join(
            [*faults.values(), f"{len(names) - len(faults)} of {len(names)} experiments are valid"]
        )
        return {"faults": faults, "exit_status": 2 if faults else 0}, told
    known = [load_experiment(path) for path in files.values()]
    answer = {
        "experiments": [{"name": e.name, "dataset": e.dataset, "description": e.description} for e in known]
    }
    widths = [max(map(len, column)) for column in zip(*((e.name, e.dataset) for e in known), strict=True)]
    return answer, "\n".join(f"{e.name:{widths[0]}}  {e.dataset:{widths[1]}}  {e.description}" for e in known)


def study(asked: argparse.Namespace) -> tuple[Answer, str]:
    """Run a study on shards, show the trials of one, or write its best configuration as an experiment."""
    from chestgan_core.tuning.requirements import require_optuna

    require_optuna()
    if asked.action == "run":
        return _run_study(asked)
    if asked.store:
        from chestgan_core.store.embedded import open_store
        from chestgan_core.tuning.stored_study import latest_study

        with open_store(home()) as store:
            stored = latest_study(store, asked.experiment)
        answer, told, text = stored.told, "\n".join(stored.told["summary"]), stored.best
    else:
        from chestgan_core.tuning.report_files import as_json, as_text
        from chestgan_core.tuning.study_files import study_table
        from chestgan_core.tuning.tuned import as_yaml, tuned_experiment

        table = study_table(home(), asked.experiment)
        answer, told = as_json(table), as_text(table)
        text = as_yaml(tuned_experiment(table)) if asked.action == "export" else ""
    if asked.action == "show":
        return answer, told
    from chestgan_core.tuning.tuned import tuned_name, write_tuned

    path = write_tuned(asked.out, tuned_name(asked.experiment), text)
    return {
        "file": str(path),
        "experiment": path.stem,
    }, f"written to {path}; put it into $CHESTGAN_EXPERIMENTS"


def _run_study(asked: argparse.Namespace) -> tuple[Answer, str]:
    from chestgan_core.config.experiment import load_experiment
    from chestgan_core.tuning.plan import Wanted
    from chestgan_core.tuning.report_files import as_json, as_text
    from chestgan_core.tuning.space import load_space
    from chestgan_core.tuning.study_files import Shards, study_files, write_report
    from chestgan_core.tuning.table import read_table

    experiment, space = load_experiment(asked.experiment), load_space(asked.space)
    shards = Shards(asked.data, asked.held_out, asked.device, home(), asked.threads)
    wanted = Wanted(
        trials=asked.trials,
        minutes=asked.minutes,
        images=asked.images,
        looks=asked.looks,
        pruner=asked.pruner,
    )
    study = study_files(
        shards,
        experiment,
        space,
        wanted,
        asked.parallel,
        asked.source,
        "phantom" if asked.phantom else "real",
    )
    table = read_table(study)
    written = write_report(table, asked.out)
    files = "\n".join(str(path) for path in written if path.suffix in (".html", ".yaml"))
    return {
        **as_json(table),
        "files": [str(path) for path in written],
    }, f"{as_text(table)}\nwritten:\n{files}"


def sets(asked: argparse.Namespace) -> tuple[Answer, str]:
    """List, show, fetch or verify published sets."""
    from chestgan_core.publishing import fetching
    from chestgan_core.store.embedded import open_store

    if asked.action == "verify":
        checked = fetching.verify_set(asked.folder)
        return checked.as_json(), checked.line()
    with open_store(home()) as store:
        if asked.action == "list":
            entries = fetching.list_sets(store)
            lines = [f"{e.name:20} {e.version}  {e.images} images  {e.bytes:,} bytes" for e in entries]
            return {"sets": [e.as_json() for e in entries]}, "\n".join(
                lines
            ) or "no set has been published yet"
        if asked.action == "show":
            manifest = fetching.show_set(store, asked.name, asked.version)
            return manifest, json.dumps(manifest, indent=2, sort_keys=True)
        fetched = fetching.fetch_set(store, asked.name, asked.version, asked.out or Path(asked.name))
        answer = {"folder": str(fetched.path), "version": fetched.version, "images": fetched.images}
        return answer, f"{fetched.images} images fetched and verified: {fetched.path}"


def doctor(asked: argparse.Namespace) -> tuple[Answer, str]:
    """What works here."""
    from chestgan_core.cli.doctor import examine

    findings = examine(home())
    answer = {
        "exit_status": 0 if all(finding.works or finding.optional for finding in findings) else 1,
        "findings": [finding.as_json() for finding in findings],
    }
    return answer, "\n".join(finding.line() for finding in findings)
