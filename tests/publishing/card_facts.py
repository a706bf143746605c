"""The provenance of a set as a release gathers it, on invented numbers."""

from dataclasses import asdict
from typing import Any

from chestgan_core.config.dataset import ImageKind
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.evaluation.scoring.gate import DIVERSITY, apply_gate
from chestgan_core.evaluation.scoring.metric_rows import (
    FEATURE_MEASURES,
    FloorValue,
    Measurement,
    MetricRow,
    RowContext,
)

ALL_RULES = ReleaseRules()


def rows_of(values: dict[str, float | None], floor: float | None = 0.0031) -> list[MetricRow]:
    """A row for every measure of features and for grey levels; those without a value of their own have 0.0123."""
    context = RowContext("net:abc:1", (50, 50), "held-out patients: 1 of 6", "", 0)
    found = {
        name: Measurement(
            values.get(name, 0.0123),
            "as described" if values.get(name, 0.0123) is not None else "not measured: no network",
            sd=0.001,
            floor=FloorValue(
                floor, "other patients" if floor is not None else "no floor", 40 if floor else 0
            ),
        )
        for name in (*FEATURE_MEASURES, "KS grey levels", *DIVERSITY, "attack AUC")
    }
    return context.rows(lambda: found)


def metrics_of(
    rows: list[MetricRow], image_kind: ImageKind = "real", rules: ReleaseRules | None = ALL_RULES
) -> dict[str, Any]:
    """A report, with the result of the release gate where there are rules."""
    return {
        "rows": [asdict(row) for row in rows],
        "patients_real": 1,
        "image_kind": image_kind,
        "gate": asdict(apply_gate(rows, rules)) if rules else None,
    }


def gathered(**more: Any) -> dict[str, Any]:
    """A full provenance. more: replaces fields."""
    side = {"patients": 4, "series": 5, "slices": 117}
    held_out = {"patients": 2, "series": 2, "slices": 58}
    return {
        "source": "A collection of chest CT",
        "source_licence": "CC BY 4.0",
        "run": "18e14cfabff4c212",
        "generator_sha256": "ab" * 32,
        "training_set": "e12336e502d8b442",
        "report": "975633ae0e47f412",
        "source_facts": {
            "dataset": "chests",
            "access": "Imaging Data Commons, collection chests, over S3 without an account",
            "private": False,
            "hounsfield": True,
            "image_kind": "real",
            "citation": "Li P. Chests. 2020.",
            "doi": "10.7937/CHESTS",
            "rules": {"selection": {"modality": ["CT"], "min_images": 20}},
            "limits": ["Dates in the files are shifted."],
        },
        "training": {
            "size": 128,
            "patients": {"train": 4, "held-out": 2},
            "slices": {"train": 117, "held-out": 58},
            "in_shards": 180,
            "left_out": {"near-duplicate": 5},
            "not_normalized": {"no-lung": 65},
        },
        "split": {
            "sides": {"train": side, "held-out": held_out},
            "by": {"class": {"A": {"train": side, "held-out": held_out}}},
        },
        "metrics": metrics_of(rows_of({})),
        **more,
    }
