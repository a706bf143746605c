"""The best configuration of a study as an experiment of its own, `<experiment>-tuned`.

In: the trials of a study. Out: its YAML file, with its provenance in it; the pointer of the store that holds all tuned
experiments; and on each machine their files, where they stand beside the shipped ones. Imports nothing heavy: the
pipeline reads the pointer when it loads.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from chestgan_core.config.experiment import Experiment, Provenance, tuned_folder
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.local.files import replacing
from chestgan_core.store import keys
from chestgan_core.store.artefacts import parse_json
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from chestgan_core.tuning.table import StudyTable

ENDING = "-tuned"
LONGEST = 63  # characters of an experiment's name
HEAD = "# Written by the hyperparameter study that `provenance` names. Copy it under another name to change it.\n"


def tuned_name(experiment: str) -> str:
    """The name of what a study of this experiment finds; an experiment that was tuned already keeps its own."""
    return experiment.removesuffix(ENDING)[: LONGEST - len(ENDING)] + ENDING


def tuned_experiment(table: "StudyTable") -> Experiment:
    """The experiment with the values of its best trial, and its own budget. Raises BadInput: none ended."""
    plan, best = table.plan, table.best
    if best is None or best.kid is None:
        raise BadInput(
            f"study {plan.name}",
            f"none of its {len(table.rows)} trials ran to its end",
            "run more trials, or a narrower space",
        )
    # Trial 0 has values that lie beyond the space, and those of the experiment are what it ran with.
    found = plan.space.experiment(plan.experiment, best.drawn, f"trial {best.number}")
    provenance = Provenance(
        experiment=plan.experiment.name,
        study=plan.study,
        trial=best.number,
        kid=best.kid,
        floor=table.yardstick.floor,
        extractor=table.yardstick.extractor,
        images=table.yardstick.images,
        training_set=plan.data.version,
        budget=plan.budget,
    )
    changes = {
        "name": tuned_name(plan.experiment.name),
        "description": f"{plan.experiment.name}, tuned: the best of {len(table.rows)} trials on {plan.data.title}.",
        "provenance": provenance,
    }
    return found.model_copy(update=changes)


def as_yaml(experiment: Experiment) -> str:
    """The file of an experiment, all values in it, so that another default of a later version changes nothing."""
    told = experiment.model_dump(mode="json", exclude={"name"})
    return HEAD + yaml.safe_dump(told, sort_keys=False, width=110, allow_unicode=True)


def write_tuned(folder: Path, name: str, text: str) -> Path:
    """The file of a tuned experiment in a folder. Raises BadInput: there is none, or the folder cannot be written."""
    if not text:
        raise BadInput(f"the study for {name}", "has no trial that ran to its end", "run more trials")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_changed(folder / f"{name}.yaml", text)
    except OSError as error:
        raise BadInput(folder, f"cannot be written ({error.strerror})", "give another folder") from error
    return folder / f"{name}.yaml"


def publish_tuned(store: Store, experiment: Experiment) -> None:
    """Put a tuned experiment into the pointer that every machine reads when it loads the pipeline."""
    text = as_yaml(experiment)

    def add(present: dict[str, Any]) -> Mapping[str, Any]:
        return {**present, experiment.name: text}

    store.change_pointer(keys.tuned_experiments(), add)


def bring_tuned(store: Store) -> list[str]:
    """Make the files of tuned_folder() those of the store; returns their names. One request.

    Raises StoreError, BadInput (the local folder cannot be written).
    """
    try:
        told = parse_json(store.get_bytes(keys.tuned_experiments()), store.uri(keys.tuned_experiments()))
    except NotInStore:
        told = {}
    files = {f"{keys.checked_name(name)}.yaml": str(text) for name, text in told.items()}
    folder = tuned_folder()
    try:
        if files:
            folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.yaml"):
            if path.name not in files:
                path.unlink(missing_ok=True)
        for name, text in files.items():
            write_changed(folder / name, text)
    except OSError as error:
        raise BadInput(
            folder, f"cannot be written ({error.strerror})", "set CHESTGAN_HOME to a folder of yours"
        ) from error
    return sorted(told)


def write_changed(path: Path, text: str) -> None:
    """Write a file whole, unless it says that already."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
