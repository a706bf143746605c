"""The result of a study in the store: from committed answers to page, charts, tables, and the block of a report."""

import csv
import io
import json
import logging
import re

import pypdf
import pytest
from PIL import Image

from chestgan_core.documents.html import as_html
from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.evaluation.reader_study import newest_reader_study
from chestgan_core.local.csv_text import csv_text
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.reading.analysis.analyse import analyse
from chestgan_core.reading.analysis.result import StudyResult
from chestgan_core.reading.answers import StudyAnswers
from chestgan_core.reading.images.frozen_study import FrozenStudy, read_key
from chestgan_core.reading.pages.result_charts import draw_charts
from chestgan_core.reading.pages.result_page import result_document
from chestgan_core.reading.pages.result_tables import answers_table, result_tables
from chestgan_core.reading.stored_answers import commit_answers
from chestgan_core.reading.stored_result import StoredResult, read_result, report_study
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from tests.reading.simulated_answers import simulated_answers
from tests.reading.simulated_study import simulated_study

SET = "small"


@pytest.fixture
def answers(store: Store, study: FrozenStudy) -> StudyAnswers:
    """Of four readers, who are right three times out of four; the last one stopped after 30 images."""
    given = simulated_answers(study, read_key(store, study), until=30)
    commit_answers(store, SET, given)
    return given


@pytest.fixture
def stored(store: Store, answers: StudyAnswers) -> StoredResult:
    return report_study(store, SET)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_closed_study_becomes_a_result_that_everybody_with_the_store_can_read(
    store: Store, study: FrozenStudy, stored: StoredResult
) -> None:
    result = stored.result
    assert (result.design.name, result.version) == ("study", study.version)
    assert [row.standing for row in result.readers] == ["finished"] * 3 + ["unfinished"]
    assert result.confusion.accuracy.value == pytest.approx(0.75, abs=0.1)
    assert result.finding.told_apart == "yes"
    assert set(stored.charts) == {"confusion.png", "readers.png", "roc.png", "ratings.png", "drift.png"}
    assert set(stored.tables) == {
        "readers.csv", "images.csv", "roc.csv", "ratings.csv", "drift.csv", "answers.csv",
    }  # fmt: skip
    for png in stored.charts.values():
        assert min(Image.open(io.BytesIO(png)).size) > 200
    assert "Readers could tell synthetic from real images" in stored.html
    assert "1 reader did not finish" in stored.html
    pdf = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(stored.pdf)).pages)
    assert "Readers could tell synthetic from real images" in " ".join(pdf.split())
    assert read_result(store, SET) == stored


def test_the_same_answers_give_the_same_version_and_others_another(
    store: Store, study: FrozenStudy, stored: StoredResult
) -> None:
    assert report_study(store, SET) == stored
    commit_answers(store, SET, simulated_answers(study, read_key(store, study), right=0.5, seed=1))
    other = report_study(store, SET)
    assert other.version != stored.version
    assert read_result(store, SET).version == other.version


def test_no_file_of_a_result_says_who_read_or_when(store: Store, stored: StoredResult) -> None:
    artefact = store.read_manifest(keys.reader_result_manifest(SET, "study", stored.version))
    looked_at = 0
    for item in artefact.objects:
        if not item.key.endswith((".png", ".pdf")):
            text = store.read(artefact, artefact.name(item)).decode()
            text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)  # charts, in which any two letters occur
            assert "nowhere clinic" not in text.lower()
            assert not re.search(r"\br[0-3]\b", text)
            assert "2026" not in text.replace(stored.version, "")
            looked_at += 1
    assert looked_at == 9


def test_tables_have_the_numbers_of_the_result(stored: StoredResult, answers: StudyAnswers) -> None:
    readers = rows(stored.tables["readers.csv"])
    assert [one["reader"] for one in readers] == ["1", "2", "3", "4"]
    for table, found in zip(readers, stored.result.confusion_by_reader, strict=True):
        assert float(table["accuracy"]) == found.accuracy.value
        assert int(table["real called synthetic"]) == found.real_called_synthetic
    every = rows(stored.tables["answers.csv"])
    assert len(every) == len(answers.answers)
    right = [one["verdict"] == one["truth"] for one in every if one["part"] == "main"]
    assert sum(right) == stored.result.confusion.accuracy.count
    ratings = rows(stored.tables["ratings.csv"])
    assert sum(int(one["real"]) + int(one["synthetic"]) for one in ratings) == stored.result.answers
    assert rows(stored.tables["images.csv"])[0]["images"] == ""
    assert len(rows(stored.tables["drift.csv"])) == 4


def test_without_a_closed_study_there_is_a_sentence(store: Store) -> None:
    with pytest.raises(
        NotInStore, match=r"set small: no reader study about it has closed, .*; close a study in"
    ):
        report_study(store, SET)
    with pytest.raises(NotInStore, match="has no result of a reader study; materialize reader_study_result"):
        read_result(store, SET)


def test_answers_that_do_not_fit_their_study_are_damage_that_names_where_they_are(
    store: Store, study: FrozenStudy
) -> None:
    given = simulated_answers(study, read_key(store, study))
    beyond = given.answers[0].model_copy(update={"item": 4000})
    commit_answers(store, SET, given.model_copy(update={"answers": (beyond, *given.answers[1:])}))
    with pytest.raises(
        DamagedObject, match=r"latest\.json: .*image 4000, which the study has not; close the study"
    ):
        report_study(store, SET)


def test_the_answers_of_one_set_are_no_result_of_another(store: Store, study: FrozenStudy) -> None:
    commit_answers(store, "another", simulated_answers(study, read_key(store, study)))
    with pytest.raises(DamagedObject, match="names answers about the set small"):
        report_study(store, "another")


def test_reports_take_the_newest_result_only_for_the_generator_whose_images_were_read(
    store: Store, published: SetFolder, stored: StoredResult, caplog: pytest.LogCaptureFixture
) -> None:
    model = published.facts.model_sha256
    assert newest_reader_study(store, SET, model) == stored.summary
    assert newest_reader_study(store, SET, "0" * 64) is None
    assert newest_reader_study(store, "another", model) is None
    block = stored.summary
    assert stored.result.roc is not None
    assert block.area == stored.result.roc.area.value
    assert block.area_in_words.startswith(f"{block.area:.2f} (95% interval ")
    assert (block.readers, block.set_version, block.version) == (4, published.version, stored.version)
    # What cannot be read is no reason to have no report.
    store.commit(keys.reader_result_manifest(SET, "study", "broken"), {}, {"kind": "reader-study-result"})
    store.update_pointer(keys.reader_result_latest(SET), {"study": "study", "version": "broken"})
    with caplog.at_level(logging.WARNING):
        assert newest_reader_study(store, SET, model) is None
    assert "is left out" in caplog.text
    with pytest.raises(DamagedObject, match="materialize reader_study_result again"):
        read_result(store, SET)


@pytest.mark.parametrize("ask_verdict", [True, False])
def test_a_result_without_answers_has_a_page_and_no_chart(ask_verdict: bool) -> None:
    design, key, given = simulated_study()
    empty = given.model_copy(update={"answers": (), "readers": ()})
    result = analyse(design.model_copy(update={"ask_verdict": ask_verdict}), key, empty)
    assert draw_charts(result) == {}
    page = as_html(result_document(result, {}))
    assert "Not enough answers for a result" in page
    assert "nan" not in re.sub(r"<[^>]*>", "", page).lower().split()
    for text in result_tables(result).values():
        assert "nan" not in text.lower()
    assert answers_table(key, empty).count("\n") == 1


def test_the_page_shows_what_strangers_wrote_and_obeys_none_of_it() -> None:
    design, key, given = simulated_study(readers=3)
    evil = "<script>alert(1)</script>"
    readers = tuple(one.model_copy(update={"profession": evil}) for one in given.readers)
    rows_of = tuple(row.model_copy(update={"image_class": "=cmd()" + evil}) for row in key.rows)
    result = analyse(
        design.model_copy(update={"title": evil}),
        key.model_copy(update={"rows": rows_of}),
        given.model_copy(update={"readers": readers}),
    )
    page = as_html(result_document(result, draw_charts(result)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=.?https?:", page)
    assert "'=cmd()" in result_tables(result)["images.csv"]
    assert ",=cmd()" not in result_tables(result)["images.csv"]


def test_cells_that_a_spreadsheet_would_run_get_an_apostrophe_and_numbers_stay_numbers() -> None:
    text = csv_text(("a", "b", "c", "d"), [("=1+1", -0.5, None, True), ("@x", 3, "\tx", False)])
    assert text == "a,b,c,d\n'=1+1,-0.5,,yes\n'@x,3,'\tx,no\n"


def test_the_same_result_gives_the_same_bytes() -> None:
    result = analyse(*simulated_study(tumours=True))
    again = StudyResult.model_validate(json.loads(result.model_dump_json()))
    assert draw_charts(result) == draw_charts(again)
    assert result_tables(result) == result_tables(again)


@pytest.mark.parametrize(("readers", "patients"), [(1, 10), (3, 1), (45, 4)])
def test_studies_of_one_reader_one_patient_or_many_readers_have_all_sections(
    readers: int, patients: int
) -> None:
    result = analyse(*simulated_study(readers=readers, patients=patients, per_patient=8, tumours=True))
    page = as_html(result_document(result, draw_charts(result)))
    for section in (
        "Verdicts",
        "ROC curves",
        "Ratings of realism",
        "Agreement",
        "Over the sitting",
        "Readers",
    ):
        assert f"<h2>{section}</h2>" in page
    assert ("There is no interval" in page) == (patients == 1)
