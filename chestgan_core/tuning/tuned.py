"""The best configuration of a study as an experiment of its own, `<experiment>-tuned`.

In: the trials of a study. Out: its YAML file with its provenance; the pointer in the store that holds all tuned
experiments; on each machine their files, beside the shipped ones. Imports nothing heavy: sensors read the pointer at
each tick.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.config.experiment import Experiment, Provenance, load_experiment, parse_experiment
from chestgan_core.config.names import TUNED_SUFFIX, experiment_files, tuned_folder, tuned_name
from chestgan_core.config.yaml_text import BadYaml, read_yaml, write_yaml
from chestgan_core.errors import BadExperiment, BadInput, NotInStore
from chestgan_core.local.files import file_error, replacing
from chestgan_core.local.json_text import parse_json
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN
from chestgan_core.store.store import Store
from chestgan_core.tuning.gain import error_of_difference

if TYPE_CHECKING:
    from chestgan_core.tuning.table import StudyTable

HEAD = "# Written by the hyperparameter study that `provenance` names. Copy it under another name to change it.\n"


def tuned_experiment(table: "StudyTable") -> Experiment:
    """The experiment with the values of its best trial, and its own budget. Raises BadInput: no trial was completed."""
    plan, best = table.plan, table.best
    if best is None or best.kid is None:
        raise BadInput(
            f"study {plan.name}",
            f"none of its {len(table.rows)} trials was completed",
            "run more trials, or narrow the space",
        )
    # Trial 0 keeps the experiment's values where these lie outside of the space.
    found = plan.space.experiment(plan.experiment, best.drawn, f"trial {best.number}")
    initial = table.initial
    provenance = Provenance(
        experiment=plan.experiment.name,
        study=plan.study,
        trial=best.number,
        trials=len(table.rows),
        kid=best.kid,
        initial=None if initial is None else initial.kid,
        error=error_of_difference(best.error, None if initial is None else initial.error),
        floor=table.floor.kid,
        extractor=table.floor.extractor,
        images=table.floor.images,
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
    """The YAML of an experiment with all its values, so that a later default changes nothing."""
    fields = experiment.model_dump(mode="json", exclude={"name"})
    return HEAD + write_yaml(fields)


def write_tuned(folder: Path, name: str, text: str) -> Path:
    """Write the file of a tuned experiment. Raises BadInput: there is none, a file of somebody else has its name, or
    the folder cannot be written.
    """
    if not text:
        raise BadInput(f"the study for {name}", "has no completed trial", "run more trials")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.yaml"
        if path.exists() and not (path.is_file() and path.read_bytes().startswith(HEAD.encode())):
            raise BadInput(path, "is there, and was not written by a study", "give another folder")
        write_if_changed(path, text)
    except OSError as error:
        raise file_error(folder, error, "give another folder") from error
    return folder / f"{name}.yaml"


def publish_tuned(store: Store, experiment: Experiment) -> None:
    """Put a tuned experiment into the pointer that every machine reads when it loads the pipeline."""
    text = as_yaml(experiment)

    def add(present: dict[str, Any]) -> Mapping[str, Any]:
        return {**present, experiment.name: text}

    store.change_pointer(keys.tuned_experiments(), add)


def stored_tuned(store: Store) -> dict[str, str]:
    """The tuned experiments of the store, name -> YAML. Sends one request. Raises StoreError, DamagedObject."""
    try:
        texts = parse_json(
            store.get_bytes(keys.tuned_experiments()), store.uri(keys.tuned_experiments()), AGAIN
        )
    except NotInStore:
        return {}
    return {keys.checked_name(name): str(text) for name, text in texts.items()}


def parse_tuned(name: str, text: str) -> Experiment:
    """A tuned experiment of the store. Raises BadExperiment: this version cannot use it, or no study wrote it."""
    where = f"experiment {name}"
    try:
        fields = read_yaml(text).values
    except BadYaml as error:
        raise BadExperiment(where, str(error), error.remedy) from error
    if not isinstance(fields, dict) or not fields.get("provenance"):
        raise BadExperiment(where, "was not written by a study", "run the study again")
    return parse_experiment(fields, name, where)


def fetch_tuned(store: Store) -> dict[str, str]:
    """Make the files in tuned_folder() those of the store; returns them, name -> YAML. Sends one request.

    Raises StoreError, BadInput (the local folder cannot be written).
    """
    texts = stored_tuned(store)
    files = {f"{name}.yaml": text for name, text in texts.items()}
    folder = tuned_folder()
    try:
        if files:
            folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.yaml"):
            if path.name not in files:
                path.unlink(missing_ok=True)
        for name, text in files.items():
            write_if_changed(folder / name, text)
    except OSError as error:
        raise file_error(folder, error, "set CHESTGAN_HOME to a folder of yours") from error
    return texts


def load_stored_experiment(store: Store, name: str) -> Experiment:
    """An experiment by its name. A tuned one is fetched first: a pod has none, and another study may have ended since
    this home was told. Raises BadExperiment, StoreError.
    """
    file = experiment_files().get(name)
    if name.endswith(TUNED_SUFFIX) and (file is None or file.parent == tuned_folder()):
        fetch_tuned(store)
    return load_experiment(name)


def write_if_changed(path: Path, text: str) -> None:
    """Write a file atomically, unless it has this text already."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
