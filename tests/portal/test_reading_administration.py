"""An administrator's studies: from a draft to the result, and what is refused on the way."""

import time

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.reading.images.frozen_study import open_study as read_study
from chestgan_core.reading.images.frozen_study import read_key
from chestgan_core.reading.stored_answers import read_answers
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Deed, Notification, Presentation, Study
from tests.portal.clients import Portal, post
from tests.portal.reading_studies import Reading, open_study, publish, written_set

FORM = {
    "study": "first",
    "title": "The first study",
    "images_per_side": "6",
    "max_per_patient": "4",
    "repeats": "25",
    "warm_up": "2",
    "seed": "1",
    "ask_verdict": "yes",
    "zoom": "yes",
}


def study_of(portal: Portal, name: str = "first") -> Study:
    with portal.session() as db:
        found = db.scalar(select(Study).where(Study.name == name))
    assert found is not None
    return found


def wait_for(portal: Portal, name: str, what: str, value: object = None, seconds: float = 60) -> Study:
    """Until a column of the study has a value (any, if none is given), or its job has failed."""
    deadline = time.monotonic() + seconds
    while True:
        study = study_of(portal, name)
        found = getattr(study, what)
        if (found == value) if value is not None else found:
            return study
        job = portal.pages.state.study_jobs.of(study.id)
        assert job is None or not job.failed, job
        assert time.monotonic() < deadline, study.state
        time.sleep(0.05)


def deeds(portal: Portal) -> list[tuple[str, str, str]]:
    with portal.session() as db:
        return [
            (one.administrator, one.deed, one.subject) for one in db.scalars(select(Deed).order_by(Deed.id))
        ]


def test_what_gives_images_away_is_said_when_a_study_opens(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    name, version = publish(store)  # real images are noise, synthetic ones are smooth
    post(administrator, "/admin/studies/draft", {**FORM, "set": f"{name}/{version}"})
    assert "What may give images away" not in administrator.get("/admin/studies/first").text
    post(administrator, "/admin/studies/first/open")
    wait_for(portal, "first", "state", "open")
    page = administrator.get("/admin/studies/first").text
    assert "What may give images away" in page
    assert "number of grey levels" in page
    told = administrator.get("/admin/notifications").text
    assert "In the study first something else than realism separates real from synthetic images." in told
    # Medians of both sides, and nothing about any single image.
    with portal.session() as db:
        (notice,) = db.scalars(select(Notification).where(Notification.kind == "study-giveaways"))
    assert {key for one in notice.content["numbers"] for key in one} == {"what", "area", "real", "synthetic"}


def test_a_draft_with_too_many_images_says_what_would_do_in_the_words_of_the_form(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    name, version = publish(store)
    form = {**FORM, "set": f"{name}/{version}", "images_per_side": "46", "max_per_patient": "2"}
    page = post(administrator, "/admin/studies/draft", form).text
    assert "There are 48 real images of 12 patients" in page
    assert "24 can be shown. 47 are needed, with the warm-up." in page
    assert "Set the images of each side to 23 or fewer. Or allow 4 real images of one patient." in page
    assert "images_per_side to" not in page
    spanish = administrator.get("/admin/studies/first", headers={"accept-language": "es"}).text
    assert "Hay 48 imágenes reales de 12 pacientes" in spanish


def test_a_study_goes_from_a_draft_to_its_result(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    name, version = publish(store)
    page = post(administrator, "/admin/studies/draft", {**FORM, "set": f"{name}/{version}"})
    assert page.status_code == 200
    assert "Real images of 7 patients" in page.text  # 6 and 1 to warm up
    post(administrator, "/admin/studies/first/open")
    opened = wait_for(portal, "first", "state", "open")
    assert opened.version in administrator.get("/admin/studies/first").text
    frozen = read_study(store, "first", opened.version)
    assert frozen.design.images_per_side == 6

    key = {row.item: row.truth for row in read_key(store, frozen).rows}
    for number in range(3):
        reader = Reading(portal.client(portal.account(f"reader{number}")), "first")
        reader.join()
        with portal.session() as db:
            items = {shown.token: shown.item for shown in db.scalars(select(Presentation))}
        while reader.token and (number < 2 or "Image 4 of" not in reader.page.text):
            truth = key[items[reader.token]]
            reader.answer(verdict=truth, confidence=4, rating=9 if truth == "real" else 2)
    page = administrator.get("/admin/studies/first")
    assert "3 take part, 2 have finished" in page.text
    for hidden in ("/result", "/answers.csv", "/result/report.html"):
        assert administrator.get(f"/admin/studies/first{hidden}").status_code == 404  # while it is open

    post(administrator, "/admin/studies/first/close")
    closed = wait_for(portal, "first", "result_version")
    page = administrator.get("/admin/studies/first/result")
    assert page.status_code == 200
    assert "3 readers, 2 of them with all images" in page.text
    for chart in ("roc.png", "confusion.png", "ratings.png"):
        answer = administrator.get(f"/admin/studies/first/result/charts/{chart}")
        assert answer.headers["content-type"] == "image/png"
    rows = administrator.get("/admin/studies/first/answers.csv").text.splitlines()
    assert len(rows) == 1 + 17 + 17 + 5
    assert len(read_answers(store, name, "first", closed.answers_version).answers) == 39
    assert administrator.get("/admin/studies/first/result/key.json").status_code == 404
    assert [(deed, subject) for _, deed, subject in deeds(portal)] == [
        ("draft study", "first"),
        ("open study", "first"),
        ("close study", "first"),
        ("save answers of study", "first"),
    ]


def test_readers_see_their_own_result_once_it_is_released_and_nobody_elses(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    study = open_study(portal, store)
    readers = [Reading(portal.client(portal.account(name)), study.name) for name in ("ana", "ben")]
    for reader, verdict in zip(readers, ("real", "synthetic"), strict=True):
        reader.join()
        while reader.token:
            reader.answer(verdict=verdict)
    post(administrator, f"/admin/studies/{study.name}/close")
    wait_for(portal, study.name, "result_version")
    assert readers[0].client.get(f"/studies/{study.name}/result").status_code == 404
    post(administrator, f"/admin/studies/{study.name}/release", {"released": "yes"})
    ana, ben = (reader.client.get(f"/studies/{study.name}/result").text for reader in readers)
    # Who says real to everything is right about all real images and no synthetic one.
    row = '<th scope="row">Real images called real</th><td>'
    assert ana.split(row)[1].startswith("100%")
    assert ben.split(row)[1].startswith("0%")
    stranger = portal.client(portal.account("eve"))
    assert stranger.get(f"/studies/{study.name}/result").status_code == 404
    post(administrator, f"/admin/studies/{study.name}/release", {"released": "no"})
    assert readers[0].client.get(f"/studies/{study.name}/result").status_code == 404


def test_the_number_of_images_comes_from_the_precision(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    publish(store)
    part = administrator.get("/admin/studies/precision", params={"half_width": "4.9"}).text
    assert 'value="200"' in part  # 400 images: +- 4.9 points
    assert "± 4.9 points" in part
    page = post(administrator, "/admin/studies/draft", {**FORM, "half_width": "9,8", "compute": "yes"})
    assert 'value="50"' in page.text
    assert 'value="The first study"' in page.text
    assert "A precision that" in administrator.get("/admin/studies/precision?half_width=0.1").text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("study", "../x", "Letters, digits"),
        ("study", "new", "that of a page"),
        ("title", "", "1 to 200"),
        ("images_per_side", "3", "4 to 2,000"),
        ("images_per_side", "1e3", "4 to 2,000"),
        ("repeats", "51", "0 to 50 percent"),
        ("warm_up", "-1", "0 to 50"),
        ("seed", "4294967296", "0 to 4,294"),
        ("set", "", "Choose a set"),
    ],
)
def test_a_draft_with_a_wrong_field_is_not_saved_and_says_which(
    portal: Portal, store: Store, administrator: TestClient, field: str, value: str, sentence: str
) -> None:
    name, version = publish(store)
    page = post(administrator, "/admin/studies/draft", {**FORM, "set": f"{name}/{version}", field: value})
    assert page.status_code == 422
    assert sentence in page.text
    with portal.session() as db:
        assert db.scalars(select(Study)).all() == []


def test_a_set_without_real_images_is_not_offered_and_says_what_to_do(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    published = publish_set(store, written_set())
    page = administrator.get("/admin/studies/new").text
    assert f'value="tiny/{published.version}"' not in page
    assert "materialize reader_study_images for tiny" in page


def test_a_withdrawn_set_is_not_offered_and_a_draft_of_it_does_not_open(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    name, version = publish(store)
    post(administrator, "/admin/studies/draft", {**FORM, "set": f"{name}/{version}"})
    withdraw_set(store, name, version, "a slice of a patient was found in it")
    assert f'value="{name}/{version}"' not in administrator.get("/admin/studies/new").text
    assert "was withdrawn" in administrator.get("/admin/studies/first").text
    post(administrator, "/admin/studies/first/open")
    deadline = time.monotonic() + 20
    while "could not be opened" not in administrator.get("/admin/studies/first").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert study_of(portal).state == "draft"


def test_a_study_pauses_by_itself_when_its_set_is_withdrawn(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    study = open_study(portal, store)
    reader = Reading(portal.client(portal.account("ana")), study.name)
    reader.join()
    reader.answer()
    portal.pages.state.withdrawals._every = 0
    withdraw_set(store, study.design["set_name"], study.design["set_version"], "a copy of a patient")
    reader.look()  # as a browser does it
    paused = wait_for(portal, study.name, "state", "paused")
    assert "was withdrawn" in paused.paused_because
    page = reader.send({"rating": 5, "verdict": "real", "confidence": 3})
    assert page.status_code == 409
    assert "The study is paused" in page.text
    assert "was withdrawn" in administrator.get("/admin").text
    assert "was withdrawn" in administrator.get(f"/admin/studies/{study.name}").text
    with portal.session() as db:
        assert [one.kind for one in db.scalars(select(Notification))] == ["study-paused"]
    assert deeds(portal)[0][1] == "pause study"
    refused = post(administrator, f"/admin/studies/{study.name}/resume")
    assert refused.status_code == 409
    assert "Its set was withdrawn, so it takes no more answers. You can close it." in refused.text
    spanish = {"accept-language": "es"}
    for path in ("", "/studies", f"/studies/{study.name}", "/notifications"):
        page = administrator.get(f"/admin{path}", headers=spanish).text
        assert f", versión {paused.design['set_version']}, se ha retirado." in page, path
    assert study_of(portal, study.name).state == "paused"
    # What was answered before can still be analysed.
    post(administrator, f"/admin/studies/{study.name}/close")
    assert study_of(portal, study.name).state == "closed"


def test_a_paused_study_goes_on_and_a_closed_one_never(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    study = open_study(portal, store)
    reader = Reading(portal.client(portal.account("ana")), study.name)
    reader.join()
    reader.look()
    answer = {"rating": 5, "verdict": "real", "confidence": 3}
    post(administrator, f"/admin/studies/{study.name}/pause")
    assert reader.send(answer).status_code == 409
    post(administrator, f"/admin/studies/{study.name}/resume")
    assert reader.send(answer).status_code == 200
    post(administrator, f"/admin/studies/{study.name}/close")
    for path in ("resume", "pause", "open"):
        assert post(administrator, f"/admin/studies/{study.name}/{path}").status_code == 409
    assert study_of(portal, study.name).state == "closed"


def test_a_study_without_an_answer_has_no_result_and_says_so(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    study = open_study(portal, store)
    post(administrator, f"/admin/studies/{study.name}/close")
    deadline = time.monotonic() + 20
    while "nobody has answered" not in administrator.get(f"/admin/studies/{study.name}").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_open_study_cannot_be_changed_or_deleted(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    study = open_study(portal, store)
    for path in ("draft", "delete", "open"):
        assert post(administrator, f"/admin/studies/{study.name}/{path}", FORM).status_code == 409
    assert administrator.get(f"/admin/studies/{study.name}/edit").status_code == 409
    assert study_of(portal, study.name).design == study.design


def test_readers_reach_none_of_it(portal: Portal, store: Store, reader: TestClient) -> None:
    study = open_study(portal, store)
    for path in ("", "/new", f"/{study.name}", f"/{study.name}/result", f"/{study.name}/answers.csv"):
        assert reader.get(f"/admin/studies{path}").status_code == 403
    for path in ("draft", f"{study.name}/close", f"{study.name}/pause", f"{study.name}/release"):
        assert post(reader, f"/admin/studies/{path}", {**FORM, "released": "yes"}).status_code == 403
    assert study_of(portal, study.name).state == "open"


def test_the_list_of_studies_notices_a_withdrawn_set_too(
    portal: Portal, store: Store, reader: TestClient
) -> None:
    study = open_study(portal, store)
    assert "Look at it" in reader.get("/studies").text
    portal.pages.state.withdrawals._every = 0
    withdraw_set(store, study.design["set_name"], study.design["set_version"], "a copy of a patient")
    assert "No study is open" in reader.get("/studies").text
    assert study_of(portal, study.name).state == "paused"


def test_the_store_is_asked_about_withdrawn_sets_at_most_every_30_seconds(
    portal: Portal, store: Store, reader: TestClient
) -> None:
    study = open_study(portal, store)
    reader.get("/studies")
    withdraw_set(store, study.design["set_name"], study.design["set_version"], "a copy of a patient")
    reader.get("/studies")
    assert study_of(portal, study.name).state == "open"
    portal.pages.state.withdrawals._looked[study.id] -= 30
    reader.get("/studies")
    assert study_of(portal, study.name).state == "paused"
