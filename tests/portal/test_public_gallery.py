"""The gallery: what is published is shown as published, what is withdrawn says why and shows nothing."""

import hashlib
import html
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.versions.withdrawal import deprecate_set, withdraw_set
from chestgan_core.reading.design import StudyDesign
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Account, Participation, Study, now
from chestgan_portal.public import library as library_room
from tests.portal.clients import Portal
from tests.portal.public_store import FRAMES, REASON, commit_run, film, publish_all
from tests.publishing.boxed_sets import asking_experiment, asking_generator, write_boxed_set

Sets = dict[str, SetFolder]


@pytest.fixture
def sets(store: Store) -> Sets:
    return publish_all(store)


@pytest.fixture
def visitor(client: Callable[[], TestClient]) -> TestClient:
    return client()


def path_of(made: SetFolder, rest: str = "") -> str:
    return f"/sets/{made.facts.name}/{made.version}{rest}"


def test_the_gallery_shows_every_version_that_is_not_withdrawn(sets: Sets, visitor: TestClient) -> None:
    page = visitor.get("/sets").text
    for name in ("second", "typed", "pictures"):
        assert path_of(sets[name], "/cover") in page
    assert path_of(sets["first"]) not in page
    assert "with withdrawn ones (1)" in page


def test_withdrawn_versions_are_listed_on_request_with_their_reason_and_without_images(
    sets: Sets, visitor: TestClient
) -> None:
    page = visitor.get("/sets?withdrawn=yes").text
    assert path_of(sets["first"]) in page
    assert path_of(sets["first"], "/cover") not in page
    assert "nearly a training image &lt;b&gt;of a person&lt;/b&gt;." in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("set=typed", ["typed"]),
        ("class=G", ["typed"]),
        ("class=Z", []),
        ("version={second}", ["second"]),
        ("set=plain&class=A", []),
        ("set=plain&withdrawn=yes", ["first", "second"]),
        ("page=99", ["second", "typed", "pictures"]),
    ],
)
def test_the_gallery_is_filtered_by_set_class_and_version(
    sets: Sets, visitor: TestClient, query: str, shown: list[str]
) -> None:
    page = visitor.get("/sets?" + query.format(second=sets["second"].version[:6])).text
    assert {name for name, made in sets.items() if f'href="{path_of(made)}"' in page} == set(shown)


def test_a_set_by_name_leads_to_its_newest_version_that_is_not_withdrawn(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    assert visitor.get("/sets/plain").url.path == path_of(sets["second"])
    withdraw_set(store, "plain", sets["second"].version, "x")
    assert visitor.get("/sets/nothing").status_code == 404


def test_an_image_is_the_published_bytes_and_may_be_kept_by_the_browser(
    sets: Sets, visitor: TestClient
) -> None:
    reader = SetReader(sets["typed"])
    for index in range(9):
        answer = visitor.get(path_of(sets["typed"], f"/images/{index}.png"))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), reader.grey(index))
        tag = answer.headers["etag"]
        assert tag == f'"{reader.label(index)["sha256"]}"'
        assert answer.headers["cache-control"] == "private, max-age=600"
    again = visitor.get(path_of(sets["typed"], "/images/8.png"), headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("index", ["9", "-1", "99999999999999999999", "x", "0.5"])
def test_an_image_that_does_not_exist_is_not_found(sets: Sets, visitor: TestClient, index: str) -> None:
    assert visitor.get(path_of(sets["typed"], f"/images/{index}.png")).status_code == 404
    assert visitor.get(path_of(sets["typed"], f"/images/{index}")).status_code == 404


def test_a_preset_shows_hounsfield_units_of_its_window_and_another_tag(
    sets: Sets, visitor: TestClient
) -> None:
    reader = SetReader(sets["typed"])
    answer = visitor.get(path_of(sets["typed"], "/images/3.png?window=mediastinum"))
    shown = np.asarray(Image.open(io.BytesIO(answer.content))).astype(float)
    low, high = reader.facts.window.ends
    hounsfield = low + reader.grey(3).astype(float) / 255 * (high - low)
    expected = np.rint(np.clip((hounsfield - -160) / 400, 0, 1) * 255)
    assert np.abs(shown - expected).max() <= 1
    assert answer.headers["etag"].endswith('-mediastinum"')


def test_the_page_says_what_a_preset_cannot_show(sets: Sets, visitor: TestClient) -> None:
    page = visitor.get(path_of(sets["second"], "?window=bone")).text
    assert "The images end at 150 HU: everything denser has the grey level of that value." in page
    assert "images/0.png?window=bone" in page


def test_pictures_without_hounsfield_units_have_no_presets(sets: Sets, visitor: TestClient) -> None:
    page = visitor.get(path_of(sets["pictures"])).text
    assert "grey levels without Hounsfield units" in page
    assert 'name="window"' not in page
    assert "hounsfield" not in page.split('id="card"')[0]
    assert visitor.get(path_of(sets["pictures"], "/images/0.png?window=lung")).status_code == 404


def test_the_contact_sheet_has_pages_and_a_filter_by_class(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    page = visitor.get(path_of(sets["typed"], "?class=G")).text
    assert [index for index in range(9) if f"/images/{index}.png" in page] == [
        row["index"] for row in rows_of(sets["typed"]) if row["class"] == "G"
    ]
    assert "G: squamous cell carcinoma (" in page
    second = SetReader(sets["first"])
    assert len(second) == 70  # two pages, were it not withdrawn


def rows_of(made: SetFolder) -> list[dict[str, object]]:
    reader = SetReader(made)
    return [dict(reader.label(index)) for index in range(len(reader))]


def test_the_zoom_leads_to_the_neighbours_of_the_same_class(sets: Sets, visitor: TestClient) -> None:
    same = [row["index"] for row in rows_of(sets["typed"]) if row["class"] == "A"]
    page = visitor.get(path_of(sets["typed"], f"/images/{same[1]}?class=A&scale=4")).text
    assert f'href="{path_of(sets["typed"], f"/images/{same[0]}")}?class=A&amp;scale=4"' in page
    assert f'href="{path_of(sets["typed"], f"/images/{same[2]}")}?class=A&amp;scale=4"' in page
    assert 'width="128" height="128"' in page


def test_a_withdrawn_version_says_why_names_the_replacement_and_gives_nothing_away(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    commit_run(store, sets["first"])
    answer = visitor.get(path_of(sets["first"]))
    assert answer.status_code == 200
    assert "This version was withdrawn" in answer.text
    assert "nearly a training image &lt;b&gt;of a person&lt;/b&gt;." in answer.text
    assert f'href="{path_of(sets["second"])}"' in answer.text
    assert "sets fetch plain --version" not in answer.text
    assert "<img" not in answer.text.split("<main")[1]
    for rest in ("/samples.png", "/cover", "/images/0.png", "/images/0", "/film/0.png"):
        assert visitor.get(path_of(sets["first"], rest)).status_code == 410, rest


def test_a_withdrawal_takes_effect_within_seconds_also_for_images_that_were_shown_before(
    sets: Sets, visitor: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch, portal: Portal
) -> None:
    monkeypatch.setattr(portal.pages.state.library._statuses, "_seconds", 0.0)
    image = path_of(sets["typed"], "/images/0.png")
    tag = visitor.get(image).headers["etag"]
    withdraw_set(store, "typed", sets["typed"].version, REASON)
    assert library_room.FRESH <= 5
    assert visitor.get(image, headers={"if-none-match": tag}).status_code == 410


def test_a_deprecated_version_is_shown_with_the_reason_and_what_to_use_instead(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    old, new = sets["typed"], sets["second"]
    deprecate_set(store, "typed", old.version, REASON, f"plain/{new.version}")
    page = visitor.get(path_of(old)).text
    assert "This version should not be used for new work" in page
    assert html.escape(REASON) in page
    assert f'href="{path_of(new)}"' in page
    assert visitor.get(path_of(old, "/images/0.png")).status_code == 200
    assert f'<p class="note warn">{html.escape(REASON)}</p>' in visitor.get("/sets?set=typed").text
    listed = {one["version"]: one["deprecated"] for one in visitor.get("/api/sets").json()["sets"]}
    assert listed == {
        one.version: {"reason": REASON, "replacement": f"plain/{new.version}"} if one == old else None
        for one in sets.values()
    }


def test_the_film_is_shown_frame_by_frame_and_does_not_move_by_itself(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    commit_run(store, sets["second"])
    page = visitor.get(path_of(sets["second"])).text
    assert f'data-frames="{FRAMES}"' in page
    assert ".gif" not in page
    for number in range(FRAMES):
        frame = Image.open(io.BytesIO(visitor.get(path_of(sets["second"], f"/film/{number}.png")).content))
        assert frame.size == (64, 32)
        assert frame.getpixel((0, 0)) == pytest.approx(40 * number, abs=2)
    assert visitor.get(path_of(sets["second"], f"/film/{FRAMES}.png")).status_code == 404


def test_the_film_is_that_of_the_run_that_made_the_set_and_no_other(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    commit_run(store, sets["first"], "run1")  # of the same experiment, with other weights
    assert "data-frames" not in visitor.get(path_of(sets["second"])).text


def test_a_damaged_film_takes_nothing_else_away(sets: Sets, visitor: TestClient, store: Store) -> None:
    commit_run(store, sets["second"], gif=b"GIF89a" + film()[6:200])
    answer = visitor.get(path_of(sets["second"]))
    assert answer.status_code == 200
    assert "/images/0.png" in answer.text


def test_the_page_has_card_checksums_and_what_to_type_to_fetch_it(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    made = sets["typed"]
    page = visitor.get(path_of(made)).text
    assert f"chestgan sets fetch typed --version {made.version}" in page
    assert f'open_set("{store.uri("synthetic/typed")}/{made.version}")' in page.replace("&#34;", '"')
    assert hashlib.sha256((made.path / "manifest.json").read_bytes()).hexdigest() in page
    for item in made.objects:
        assert item.sha256 in page
    assert "generated &lt;phantom&gt; images" in page
    assert "<phantom>" not in page
    assert ">Limits<" in page


def test_the_picture_in_the_gallery_is_small_whatever_the_images(
    sets: Sets, visitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = visitor.get(path_of(sets["second"], "/samples.png")).content
    assert published == sets["second"].samples_png
    assert visitor.get(path_of(sets["second"], "/cover")).content == published  # it is small already
    monkeypatch.setattr(library_room, "COVER_WIDTH", 100)
    small = visitor.get(path_of(sets["typed"], "/cover"))
    assert Image.open(io.BytesIO(small.content)).width == 100
    again = visitor.get(path_of(sets["typed"], "/cover"), headers={"if-none-match": small.headers["etag"]})
    assert again.status_code == 304


def test_a_damaged_image_is_refused_and_not_shown(sets: Sets, visitor: TestClient, store: Store) -> None:
    tar = next(item for item in sets["typed"].objects if item.key.endswith(".tar"))
    store.put_bytes(b"\0" * tar.bytes, tar.key)
    assert visitor.get(path_of(sets["typed"], "/images/0.png")).status_code == 503


@pytest.mark.parametrize(
    "path", ["/sets/typed/%2e%2e", "/sets/%2e%2e%2fx/y", "/sets/typed/zz", "/sets/a b/c"]
)
def test_a_name_that_is_none_is_not_found(sets: Sets, visitor: TestClient, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_who_reads_a_study_of_a_set_does_not_see_its_images_until_it_is_over(
    sets: Sets, portal: Portal, reader_account: Account, reader: TestClient, visitor: TestClient
) -> None:
    design = StudyDesign(
        name="s1", title="A study", set_name="typed", set_version=sets["typed"].version, images_per_side=4
    )
    with portal.session() as db:
        study = Study(name="s1", design=design.model_dump(mode="json"), state="open", created_by="boss")
        db.add(study)
        db.flush()
        taking_part = Participation(study_id=study.id, account_id=reader_account.id, reader="r1", seed=1)
        db.add(taking_part)
        db.commit()
        key = taking_part.id
    image = path_of(sets["typed"], "/images/0.png")
    assert reader.get(image).status_code == 403
    assert "You are rating images of this set" in reader.get(path_of(sets["typed"])).text
    assert path_of(sets["typed"], "/cover") not in reader.get("/sets").text
    for item in sets["typed"].objects:  # as files neither
        expected = 200 if item.key.endswith("README.md") else 403
        assert reader.get(f"/files/{item.key}").status_code == expected
        assert visitor.get(f"/files/{item.key}").status_code == 200
    assert reader.get(path_of(sets["second"], "/images/0.png")).status_code == 200
    assert visitor.get(image).status_code == 200
    with portal.session() as db:
        db.get_one(Participation, key).finished_at = now()
        db.commit()
    assert reader.get(image).status_code == 200


def test_the_sets_are_data_too_and_described(sets: Sets, visitor: TestClient, store: Store) -> None:
    listed = {(one["name"], one["version"]): one for one in visitor.get("/api/sets").json()["sets"]}
    assert len(listed) == 4
    typed = listed["typed", sets["typed"].version]
    assert typed["images"] == 9
    assert typed["images_per_class"] == {"A": 5, "G": 4}
    assert typed["address"] == f"{store.uri('synthetic/typed')}/{sets['typed'].version}"
    manifest = store.get_bytes(keys.set_manifest("typed", sets["typed"].version))
    assert typed["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert (typed["low"], typed["high"], typed["unit"]) == (-1350, 150, "HU")
    assert typed["withdrawn"] is None
    gone = listed["plain", sets["first"].version]["withdrawn"]
    assert gone == {"reason": REASON, "replacement": f"plain/{sets['second'].version}"}
    assert "/api/sets" in json.dumps(visitor.get("/openapi.json").json()["paths"])


def test_an_empty_store_says_what_to_materialize(store: Store, visitor: TestClient) -> None:
    assert "No set has been published yet" in visitor.get("/sets").text
    assert visitor.get("/api/sets").json() == {"sets": []}


def test_without_a_store_the_gallery_says_so(visitor: TestClient) -> None:
    answer = visitor.get("/sets")
    assert answer.status_code == 503
    assert "The store does not answer as it should" in answer.text
    assert visitor.get("/api/sets").status_code == 503
    assert visitor.get("/sets/typed/0123456789abcdef").status_code == 503


def test_a_second_view_of_the_gallery_asks_the_store_for_nothing(
    sets: Sets, visitor: TestClient, store: Store
) -> None:
    sent: list[str] = []
    store.client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.url))
    page = path_of(sets["typed"])
    for path in ("/sets", page, f"{page}/images/1.png"):
        assert visitor.get(path).status_code == 200
    assert sent
    sent.clear()
    for path in ("/sets", page, f"{page}/images/2.png"):
        assert visitor.get(path).status_code == 200
    assert sent == []


def test_an_image_has_a_frame_where_a_tumour_was_asked_for_and_says_where_nothing_is_known(
    visitor: TestClient, store: Store, tmp_path: Path
) -> None:
    generator = asking_generator(tmp_path / "model", asking_experiment())
    given = {"source": "generated phantom images", "source_licence": "none needed"}
    made = write_boxed_set(generator, tmp_path / "set", given)
    publish_set(store, made)
    pages = [visitor.get(f"/sets/asking/{made.version}/images/{k}").text for k in range(4)]
    assert [page.count("<rect ") for page in pages] == [0, 1, 2, 0]
    assert '<rect x="3.25" y="10.3" width="17.25" height="21.45"/>' in pages[1]
    assert "None was asked for." in pages[0]
    assert "A request, not a finding." in pages[1]
    assert "Nothing was said about tumours, so nothing is known." in pages[3]
    assert "0.1234 (0: base of the lungs, 1: apex)" in pages[2]
