"""Files of the store by the portal's own rights: who gets what, and that nothing else is reached."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from tests.portal.clients import Portal
from tests.portal.public_store import publish_all

PICTURE = b"\x89PNG with real slices"


@pytest.fixture
def sets(store: Store) -> dict[str, SetFolder]:
    return publish_all(store)


@pytest.fixture
def artefacts(store: Store) -> None:
    """One of each kind, with files for everybody and files with slices of patients."""
    files = {
        keys.comparison_manifest("architecture", "v1"): ["comparison.png", "curves.png", "comparison.html"],
        keys.report_manifest("e", "r", "v1"): ["report.html", "report.pdf", "figures/samples-real.png"],
        keys.study_manifest("e", "s", "v1"): ["figures/history.png", "report.html", "best.yaml"],
        keys.month_manifest("2026-01", "v1"): ["month.png", "month.html"],
        keys.run_manifest("e", "r"): ["progress.gif", "samples.png", "generator.safetensors"],
        keys.slices_manifest("d", "p", "v1"): ["x.png"],
        keys.training_set_manifest("d", "v1"): ["contact-sheet-A.png"],
    }
    for key, names in files.items():
        store.commit(key, dict.fromkeys(names, PICTURE), {"kind": "test"})


PUBLIC = [
    "comparisons/architecture/v1/curves.png",
    "studies/e/s/v1/figures/history.png",
    "reports-monthly/2026-01/v1/month.png",
]
FOR_ADMINISTRATORS = [
    "comparisons/architecture/v1/comparison.png",
    "comparisons/architecture/v1/comparison.html",
    "reports/e/r/v1/report.html",
    "reports/e/r/v1/report.pdf",
    "reports/e/r/v1/figures/samples-real.png",
    "studies/e/s/v1/report.html",
    "studies/e/s/v1/best.yaml",
    "reports-monthly/2026-01/v1/month.html",
    "experiments/e/r/progress.gif",
]
FOR_NOBODY = [
    "experiments/e/r/generator.safetensors",
    "slices/d/p/x.png",
    "training-sets/d/v1/contact-sheet-A.png",
    "synthetic/index.json",
    "experiments/e/latest.json",
    "",
    "reports",
]


@pytest.mark.parametrize("path", PUBLIC)
def test_charts_without_patients_are_for_everybody(
    artefacts: None, client: Callable[[], TestClient], path: str
) -> None:
    answer = client().get(f"/files/{path}")
    assert (answer.status_code, answer.content) == (200, PICTURE)


@pytest.mark.parametrize("path", FOR_ADMINISTRATORS)
def test_what_may_show_patients_is_for_administrators_alone(
    artefacts: None,
    client: Callable[[], TestClient],
    reader: TestClient,
    administrator: TestClient,
    path: str,
) -> None:
    sent = client().get(f"/files/{path}", follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/login?next=/files/{path}")
    assert reader.get(f"/files/{path}").status_code == 403
    answer = administrator.get(f"/files/{path}")
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["cache-control"] == "no-store"
    if path.endswith(".html"):
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", FOR_NOBODY)
def test_other_kinds_of_artefacts_are_not_reached_by_administrators_either(
    artefacts: None, administrator: TestClient, path: str
) -> None:
    assert administrator.get(f"/files/{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "comparisons/architecture/v1/../v1/comparison.png",
        "comparisons/architecture/v1/curves.png/../comparison.png",
        "studies/e/s/v1/figures/../report.html",
        "comparisons/architecture/v1/comparison.png#curves.png",
        "comparisons/architecture/v1/comparison.png\ncurves.png",
        "COMPARISONS/architecture/v1/curves.png",
        "synthetic/../reports/e/r/v1/figures/samples-real.png",
        "synthetic/typed/v1/samples.png/../../../../reports/e/r/v1/report.html",
        "/etc/passwd",
    ],
)
def test_no_path_leads_a_visitor_around_the_rights(
    artefacts: None, client: Callable[[], TestClient], path: str
) -> None:
    answer = client().get(f"/files/{quote(path, safe='')}", follow_redirects=False)
    assert answer.status_code in (303, 404)
    assert PICTURE not in answer.content


def test_files_of_a_set_are_for_everybody_as_published(
    sets: dict[str, SetFolder], client: Callable[[], TestClient]
) -> None:
    made = sets["typed"]
    for item in made.objects:
        answer = client().get(f"/files/{item.key}")
        assert answer.content == made.file(item).read_bytes()
    part = client().get(
        f"/files/synthetic/typed/{made.version}/images-0000.tar", headers={"range": "bytes=0-511"}
    )
    assert (part.status_code, len(part.content)) == (206, 512)


def test_files_of_a_withdrawn_version_are_for_administrators_alone(
    sets: dict[str, SetFolder],
    client: Callable[[], TestClient],
    reader: TestClient,
    administrator: TestClient,
) -> None:
    for item in sets["first"].objects:
        assert client().get(f"/files/{item.key}").status_code == 410
        assert reader.get(f"/files/{item.key}").status_code == 410
        assert administrator.get(f"/files/{item.key}").status_code == 200


def test_no_page_holds_an_address_of_the_store_with_rights_in_it(
    sets: dict[str, SetFolder], artefacts: None, administrator: TestClient
) -> None:
    made = sets["typed"]
    for path in ("/", "/sets", f"/sets/typed/{made.version}", "/results", "/api/sets"):
        text = administrator.get(path).text
        assert "X-Amz" not in text
        assert "AWSAccessKeyId" not in text


def test_without_a_store_a_file_is_an_error_of_the_store(portal: Portal, administrator: TestClient) -> None:
    statuses: list[Any] = [
        administrator.get(f"/files/{path}").status_code for path in ("reports/e/r/v1/report.html", *PUBLIC)
    ]
    assert set(statuses) <= {502, 503}
