"""What each room may import, seen from a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = (
    *("torch", "torchvision", "pydicom", "skimage", "numpy", "pyarrow", "boto3", "matplotlib", "PIL"),
    *("optuna", "sqlalchemy"),
)


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("chestgan_assets.definitions", HEAVY),
        ("chestgan_core.cli.main", (*HEAVY, "dagster")),
        ("chestgan_core.config.dataset", (*HEAVY, "urllib3", "dagster")),
        ("chestgan_core.config.experiment", (*HEAVY, "dagster")),
        ("chestgan_core.store.store", (*HEAVY, "dagster")),
        ("chestgan_core.sources.archive.raw_archive", ("torch", "skimage", "numpy", "dagster")),
        ("chestgan_core.slices.patient_slices", ("torch", "matplotlib", "dagster")),
        ("chestgan_core.evaluation.thresholds", (*HEAVY, "dagster")),
        ("chestgan_core.evaluation.comparison.page", ("torch", "pydicom", "skimage", "dagster")),
        ("chestgan_core.evaluation.monthly.page", ("torch", "pydicom", "skimage", "dagster")),
        ("chestgan_core.publishing.release", ("dagster", "flask", "starlette")),
        ("chestgan_core.publishing.transfer.fetching", ("torch", "matplotlib", "dagster")),
        ("chestgan_core.publishing.versions.index", ("torch", "matplotlib", "pyarrow", "PIL", "dagster")),
        (
            "chestgan_core.publishing.versions.index_rebuild",
            ("torch", "matplotlib", "pyarrow", "PIL", "dagster"),
        ),
        (
            "chestgan_core.publishing.reader.set_reader",
            (
                "torch",
                "matplotlib",
                "pydicom",
                "skimage",
                "dagster",
                "pydantic",
                "boto3",
                "pyarrow",
                "safetensors",
            ),
        ),
        (
            "chestgan_core.publishing.dicom_export.export",
            ("torch", "matplotlib", "highdicom", "boto3", "dagster"),
        ),
        ("chestgan_core.publishing", ("torch", "pydantic", "boto3", "pyarrow", "numpy")),
        (
            "chestgan_core.forgetting.forget",
            ("torch", "matplotlib", "pydicom", "skimage", "optuna", "dagster"),
        ),
        ("chestgan_core.reading.offline.pack", ("torch", "matplotlib", "pydicom", "skimage", "dagster")),
        ("chestgan_portal.command", (*HEAVY, "fastapi", "uvicorn", "dagster")),
        ("chestgan_portal.app", ("torch", "torchvision", "pydicom", "matplotlib", "optuna", "dagster")),
        ("chestgan_web.guard", (*HEAVY, "fastapi", "starlette", "dagster")),
    ],
)
def test_a_module_loads_without_what_its_readers_would_pay_for(
    module: str, forbidden: tuple[str, ...]
) -> None:
    loaded = f"import {module}, sys; print([name for name in {forbidden!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
