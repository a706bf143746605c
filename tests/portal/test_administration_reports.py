"""The list of reports: the newest of each experiment, comparison, month and study in the store, with links."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from chestgan_core.evaluation.newest_files import newest_files
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Study
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal

PIPELINE = "http://127.0.0.1:3000"
PAGES = {"report.html": b"<p>report</p>", "report.pdf": b"%PDF-1.4", "report.json": b"{}"}


@pytest.fixture
def settings(database_address: str) -> Settings:
    return Settings(database=database_address, own_account=False, hosts=("testserver",), pipeline=PIPELINE)


@pytest.fixture
def written(store: Store) -> None:
    """Reports of two experiments, one of them twice; a comparison, a leaderboard, a month, a hyperparameter study."""
    for experiment, run, version in (("dcgan", "r1", "v1"), ("dcgan", "r2", "v2"), ("wgan", "r3", "v3")):
        store.commit(keys.report_manifest(experiment, run, version), PAGES, {"of": version})
        store.update_pointer(keys.report_latest(experiment), {"run": run, "version": version})
    store.commit(keys.comparison_manifest("architecture", "c1"), {"comparison.html": b"<p>c</p>"}, {})
    store.update_pointer(keys.comparison_latest("architecture"), {"version": "c1"})
    store.commit(keys.leaderboard_manifest("l1"), {"leaderboard.html": b"<p>l</p>", "table-01.png": b""}, {})
    store.update_pointer(keys.leaderboard_latest(), {"version": "l1"})
    store.commit(keys.month_manifest("2026-11", "m1"), {"month.pdf": b"%PDF-1.4"}, {})
    store.update_pointer(keys.month_latest("2026-11"), {"version": "m1"})
    store.commit(keys.study_manifest("wgan", "s1", "t1"), {"report.html": b"<p>s</p>"}, {})
    store.update_pointer(keys.study_latest("wgan"), {"study": "s1", "version": "t1"})


def test_reports_of_all_experiments_are_listed_each_with_its_newest(
    store: Store, written: None, administrator: TestClient
) -> None:
    """The portal of the thesis lists one architecture, whatever was trained."""
    page = administrator.get("/admin/reports").text
    files = set(re.findall(r'href="(/files/[^"]+)"', page))
    assert files == {
        "/files/reports/dcgan/r2/v2/report.html", "/files/reports/dcgan/r2/v2/report.pdf",
        "/files/reports/wgan/r3/v3/report.html", "/files/reports/wgan/r3/v3/report.pdf",
        "/files/comparisons/architecture/c1/comparison.html", "/files/reports-monthly/2026-11/m1/month.pdf",
        "/files/leaderboards/all/l1/leaderboard.html", "/files/studies/wgan/s1/t1/report.html",
    }  # fmt: skip
    for path in files:
        assert administrator.get(path).status_code == 200, path


def test_each_has_a_link_to_the_asset_that_made_it(
    store: Store, written: None, administrator: TestClient
) -> None:
    page = administrator.get("/admin/reports").text
    assets = re.findall(rf'href="{PIPELINE}/assets/([^"]+)"', page)
    assert assets == [
        "metric_report?view=events&amp;partition=dcgan", "metric_report?view=events&amp;partition=wgan",
        "architecture_comparison?view=events", "leaderboard?view=events",
        "monthly_report?view=events&amp;partition=2026-11",
        "hyperparameter_study?view=events&amp;partition=wgan",
    ]  # fmt: skip


def test_without_the_address_of_the_pipeline_there_is_no_link_to_it(
    portal: Portal, store: Store, written: None, administrator: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal.pages.state, "settings", replace(portal.settings, pipeline=""))
    page = administrator.get("/admin/reports").text
    assert "dcgan" in page
    assert "/assets/" not in page


def test_a_damaged_one_is_listed_with_the_reason_and_hides_no_other(
    store: Store, written: None, administrator: TestClient
) -> None:
    store.update_pointer(keys.report_latest("gone"), {"run": "r9", "version": "v9"})
    store.update_pointer(keys.report_latest("odd"), {"version": "../../x"})
    faults = {item.subject: item.fault for item in newest_files(store) if item.fault}
    assert set(faults) == {"gone", "odd"}
    page = administrator.get("/admin/reports").text
    assert page.count("cannot be read") == 2
    assert "/files/reports/dcgan/r2/v2/report.html" in page
    assert "../" not in page


def test_a_store_without_any_says_so(store: Store, administrator: TestClient) -> None:
    assert newest_files(store) == []
    assert administrator.get("/admin/reports").text.count("There is none yet.") == 5


def test_closed_reader_studies_are_listed_with_their_set(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    with portal.session() as session:
        for name, state in (("first", "closed"), ("second", "open")):
            closed = datetime(2026, 11, 1, tzinfo=UTC)
            design = {"set_name": "demo"}
            session.add(Study(name=name, design=design, state=state, closed_at=closed, created_by="boss"))
        session.commit()
    page = administrator.get("/admin/reports").text
    assert 'href="/admin/studies/first"' in page
    assert f"{PIPELINE}/assets/reader_study_result?view=events&amp;partition=demo" in page
    assert "second" not in page


def test_a_store_that_does_not_answer_is_said_and_no_detail_reaches_the_browser(
    portal: Portal, administrator: TestClient, client: Callable[[], TestClient]
) -> None:
    answered = administrator.get("/admin/reports")
    assert answered.status_code == 503
    assert "The store does not answer" in answered.text
    assert "this test has none" not in answered.text
