"""What the store knows about where a set comes from, gathered for its card.

In: the run that made the images, its report, the training set of both, and the rows of its split. Out: the fields of
Provenance as plain data. What would name a machine, a folder of somebody, or a patient of a private dataset stays out.
"""

from dataclasses import asdict
from typing import Any

from chestgan_core.config.dataset import Dataset
from chestgan_core.evaluation.stored_report import StoredReport
from chestgan_core.publishing.split.counts import SplitCounts
from chestgan_core.publishing.writing.instructions import instructions_for
from chestgan_core.publishing.writing.provenance import SourceFacts, TrainingFacts
from chestgan_core.slices.training_set import TrainingSet
from chestgan_core.store.artefacts import Artefact
from chestgan_core.training.run_manifest import RunManifest, generator_sha256

# Of the section `source`: where files lie on one machine, and addresses of servers that may be somebody's own.
_OF_ONE_MACHINE = {"path_variable", "index", "manifest", "endpoint", "kaggle_endpoint"}
# Names in the catalog: of a private dataset they are pseudonyms, which the split does not publish either.
_NAMES = ("exclude_patients", "exclude_series")


def gather_provenance(
    run: Artefact,
    trained: RunManifest,
    report: StoredReport,
    training_set: TrainingSet,
    counts: SplitCounts | None,
) -> dict[str, Any]:
    """The provenance of a set. run, trained: the artefact and what its manifest says. counts: of its split.csv."""
    dataset = training_set.dataset
    manifest = training_set.manifest
    groups = report.payload.groups
    covered_worse = groups.published(dataset.private) if groups else ""
    training = TrainingFacts(
        size=manifest["size"],
        patients=manifest["patients"],
        slices=manifest["slices"],
        in_shards=manifest["in_shards"],
        left_out=manifest["left_out"],
        not_normalized=manifest.get("not_normalized", {}),
    )
    return {
        "source": dataset.title,
        "source_licence": dataset.licence,
        "run": trained.run,
        "generator_sha256": generator_sha256(run),
        "training_set": training_set.version,
        "report": report.version,
        "source_facts": asdict(source_facts(dataset)),
        "training": asdict(training),
        "split": counts.as_json() if counts else None,
        "metrics": {**report.payload.as_json(), "covered_worse": covered_worse},
        "reproduction": instructions_for(training_set).as_json(),
    }


def source_facts(dataset: Dataset) -> SourceFacts:
    """What may be published about a dataset."""
    return SourceFacts(
        dataset=dataset.name,
        access=dataset.source.access,
        private=dataset.private,
        hounsfield=dataset.has_hounsfield,
        image_kind=dataset.image_kind,
        citation=dataset.citation,
        doi=dataset.doi,
        rules=_rules(dataset),
        limits=dataset.limits,
    )


def _rules(dataset: Dataset) -> dict[str, Any]:
    """Its file as data: source, selection, annotations, training set."""
    selection = dataset.selection.model_dump(mode="json")
    if dataset.private:
        selection |= {name: f"{len(selection[name])} left out" if selection[name] else [] for name in _NAMES}
    training_set = dataset.training_set.model_dump(mode="json")
    if training_set["reference"]:
        del training_set["reference"]["path_variable"]
    return {
        "source": dataset.source.model_dump(mode="json", exclude=_OF_ONE_MACHINE),
        "slice_size": dataset.slice_size,
        "selection": selection,
        "annotations": [
            one.model_dump(mode="json", exclude={"path_variable"}) for one in dataset.annotations
        ],
        "training_set": training_set,
        "files_flagged_synthetic": dataset.synthetic,
    }
