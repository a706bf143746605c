"""Where a report comes from, as data: the training set on the one side, the run on the other.

In: a committed training set and run. Out: plain data for report.json (`data` and `run`), and the same as pairs of words
for a page.
"""

from collections.abc import Mapping
from typing import Any

from chestgan_core.slices.training_set import TrainingSet
from chestgan_core.store.artefacts import Artefact

# Said without their names. Of a plan: what has a line of its own, in this order; the rest shares one.
KINDS = ("kind", "family")
PARTS = ("loss", "augmentation", "optimizer", "sampling", "validation")


def data_facts(training_set: TrainingSet) -> dict[str, Any]:
    """What the report's `data` says. snapshot: the version of the training set; patients, slices: by side."""
    dataset = training_set.dataset
    return {
        "dataset": dataset.name,
        "title": dataset.title,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "doi": dataset.doi,
        "snapshot": training_set.version,
        "patients": dict(training_set.told["patients"]),
        "slices": dict(training_set.told["slices"]),
        "rules": dataset.training_set.model_dump(mode="json"),
    }


def run_facts(run: Artefact) -> dict[str, Any]:
    """What the report's `run` says: the experiment's fields as it was trained, and how the training went."""
    told = run.manifest
    names = ("run", "images_seen", "seconds", "resumed_at", "device", "precision", "best_kid", "best_at")
    return {"experiment": dict(told["experiment"]), **{name: told[name] for name in names}}


def data_in_words(data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs for a page."""
    patients, slices = data["patients"], data["slices"]
    sides = "; ".join(
        f"{side}: {slices[side]:,} slices of {patients[side]:,} patients"
        for side in slices
        if side in patients
    )
    cited = [data["citation"], f"doi:{data['doi']}" if data["doi"] else ""]
    pairs = (
        ("dataset", f"{data['title']} ({data['dataset']})"),
        ("licence", data["licence"]),
        ("to cite", " ".join(filter(None, cited))),
        ("split by patient", sides),
        ("chosen by", in_words(data["rules"])),
        ("snapshot", data["snapshot"]),
    )
    return tuple((name, text) for name, text in pairs if text)


def run_in_words(run: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs for a page."""
    experiment = run["experiment"]
    plan = experiment["training"]
    classes = ", ".join(experiment["classes"])
    kept = ""
    if run["best_kid"] is not None:
        kept = f"that of {run['best_at']:,} images seen, KID {1000 * run['best_kid']:.1f} x 1000 at that look"
    pairs = (
        ("experiment", f"{experiment['name']}. {experiment['description']}".strip()),
        ("network", in_words(experiment["network"])),
        (
            "images",
            f"{experiment['resolution']} x {experiment['resolution']}, window {in_words(experiment['window'])}",
        ),
        ("classes", classes),
        *((name, in_words(plan[name])) for name in PARTS),
        ("plan", in_words({name: value for name, value in plan.items() if name not in PARTS and value != 0})),
        ("images seen", f"{run['images_seen']:,} in {duration(run['seconds'])}"),
        ("kept generator", kept),
        ("computed on", f"{run['device']}, {run['precision']}"),
        ("run", run["run"]),
    )
    return tuple((name, text) for name, text in pairs if text)


def in_words(value: object) -> str:
    """A field of an experiment: `relativistic, gamma 1 and 0.1, penalty every 4`; "" for what is not set."""
    if isinstance(value, Mapping):
        which = [in_words(value[name]) for name in KINDS if name in value]
        named = [
            f"{name.replace('_', ' ')} {in_words(inner)}"
            for name, inner in value.items()
            if name not in KINDS and in_words(inner)
        ]
        return ", ".join([*which, *named])
    if isinstance(value, (list, tuple)):
        return " and ".join(map(in_words, value))
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """`48 s`, `12 min` or `3 h 20 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
