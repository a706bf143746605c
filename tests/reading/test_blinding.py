"""Nothing but the pixels may tell which image is real: not bytes, names, places, times of a request, or the file."""

import base64
import json
import re
import struct
import time

import numpy as np
import pytest
from PIL import Image

from chestgan_core.imaging.pictures import png_of
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.reading.images.frozen_study import FrozenStudy, freeze_study, read_key
from chestgan_core.reading.images.order import reading_order
from chestgan_core.reading.offline.pack import make_pack
from chestgan_core.reading.offline.sealed_key import stored_key
from chestgan_core.store.store import Store
from tests.reading.published import design_of
from tests.reading.telltale import chance_margin, held_out_accuracy

SEEDS = range(8)


def around_pixels(png: bytes) -> list[float]:
    """All that a PNG says besides grey levels: its size, chunks, header, the frame of the stored pixels, filters."""
    chunks, place = [], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        chunks.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + length]))
        place += 12 + length
    ((_, header), *_) = chunks
    width, height = struct.unpack_from(">II", header)
    (pixels,) = [data for name, data in chunks if name == b"IDAT"]
    filters = list(pixels[7 :: width + 1][:height])  # behind the head of zlib (2) and of its one block (5)
    return [len(png), len(chunks), *header, *pixels[:7], *filters, len(pixels)]


@pytest.fixture
def studies(store: Store, published: SetFolder) -> list[tuple[FrozenStudy, list[bool]]]:
    """Eight studies with other images each, 320 showings in all, and their truths."""
    frozen = [freeze_study(store, design_of(published, seed=seed)) for seed in SEEDS]
    return [(one, [row.truth == "real" for row in read_key(store, one).rows]) for one in frozen]


def test_all_pictures_are_equal_in_everything_but_grey_levels(
    studies: list[tuple[FrozenStudy, list[bool]]],
) -> None:
    found = {tuple(around_pixels(study.picture(item))) for study, _ in studies for item in range(study.count)}
    assert len(found) == 1


def test_whoever_sees_everything_but_the_pixels_guesses(
    store: Store, studies: list[tuple[FrozenStudy, list[bool]]]
) -> None:
    """Features of a showing: bytes around the pixels, number, place in the order, part, random name, neighbours'
    numbers, and whether it comes twice.
    """
    features, real = [], []
    for study, truth in studies:
        key = stored_key(store, study, make_pack(store, study).reader)
        twice = {shown.item for shown in key.shown if shown.part == "repeat"}
        for place, shown in enumerate(key.shown):
            if shown.part != "main":
                continue
            before = key.shown[place - 1].item
            features.append(
                [
                    *around_pixels(study.picture(shown.item)),
                    shown.item,
                    shown.item % 2,
                    place,
                    place % 2,
                    before,
                    shown.item in twice,
                    *bytes.fromhex(shown.id),
                ]
            )
            real.append(truth[shown.item])
    table, truths = np.array(features, np.float64), np.array(real)
    assert truths.sum() * 2 == len(truths) == 320
    assert abs(held_out_accuracy(table, truths) - 0.5) < chance_margin(len(truths))


def test_the_same_reader_tells_them_apart_by_the_size_of_compressed_pictures(
    studies: list[tuple[FrozenStudy, list[bool]]],
) -> None:
    """So the test before can fail: this is what a study of compressed pictures would give away."""
    sizes: list[list[float]] = []
    real: list[bool] = []
    for study, truth in studies:
        sizes += [[len(png_of(Image.fromarray(study.pictures[item])))] for item in study.main]
        real += [truth[item] for item in study.main]
    assert held_out_accuracy(np.array(sizes), np.array(real)) > 0.95


def test_the_order_of_many_readers_says_nothing(studies: list[tuple[FrozenStudy, list[bool]]]) -> None:
    study, truth = studies[0]
    features, real = [], []
    for seed in range(25):
        main = [one.item for one in reading_order(study, seed) if one.part == "main"]
        for place, item in enumerate(main):
            features.append([place, place % 2, place % 3, place**2])
            real.append(truth[item])
    assert abs(held_out_accuracy(np.array(features, np.float64), np.array(real)) - 0.5) < chance_margin(1000)


def test_images_that_come_twice_are_as_often_real_as_synthetic(
    studies: list[tuple[FrozenStudy, list[bool]]],
) -> None:
    study, truth = studies[0]
    again = [
        truth[one.item] for seed in range(200) for one in reading_order(study, seed) if one.part == "repeat"
    ]
    assert len(again) == 800
    assert abs(np.mean(again) - 0.5) < chance_margin(len(again))


def test_encoding_takes_as_long_for_one_side_as_for_the_other(
    studies: list[tuple[FrozenStudy, list[bool]]],
) -> None:
    """A compressor would be slower on noise. Medians, alternating, so that a busy machine does not decide."""
    study, truth = studies[0]
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(30):
        for item in study.main:
            started = time.perf_counter()
            study.picture(item)
            times[truth[item]].append(time.perf_counter() - started)
    real, synthetic = np.median(times[True]), np.median(times[False])
    assert abs(real - synthetic) < 0.2 * max(real, synthetic)


def data_of(html: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_the_offline_file_holds_pictures_of_one_size_under_random_names_and_no_key(
    store: Store, study: FrozenStudy
) -> None:
    one, other = make_pack(store, study), make_pack(store, study)
    images: list[dict[str, str]] = data_of(one.html)["images"]  # type: ignore[assignment]
    assert {tuple(image) for image in images} == {("id", "png")}
    assert len({len(image["png"]) for image in images}) == 1
    assert len({image["id"] for image in images}) == len(images) == 50
    assert {base64.b64decode(image["png"]) for image in images} == {
        study.picture(item) for item in range(study.count)
    }
    others: list[dict[str, str]] = data_of(other.html)["images"]  # type: ignore[assignment]
    assert not {image["id"] for image in images} & {image["id"] for image in others}
    assert [image["png"] for image in images] != [image["png"] for image in others]
    said = {"study", "version", "reader", "seal", "language", "words", "ask", "warm_up", "images"}
    assert set(data_of(one.html)) == said
    assert data_of(one.html)["seal"] == one.seal == stored_key(store, study, one.reader).seal
    for secret in ("truth", "patient_", study.key_sha256, stored_key(store, study, one.reader).seed):
        assert str(secret) not in one.html, secret


def test_two_files_of_one_study_have_one_size(store: Store, study: FrozenStudy) -> None:
    sizes = {len(make_pack(store, study).html) for _ in range(3)}
    assert len(sizes) == 1


def test_a_title_cannot_end_the_page_or_run(store: Store, published: SetFolder) -> None:
    title = "</script><script>alert(1)</script>"
    html = make_pack(store, freeze_study(store, design_of(published, title=title))).html
    assert title not in html
    assert html.count("<script") == 2
