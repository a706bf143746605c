"""Nothing but the pixels tells which images are real: what a reader's browser receives is given to a classifier."""

import re
import struct
import time
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from chestgan_core.reading.images.frozen_study import open_study as read_study
from chestgan_core.reading.images.frozen_study import read_key
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Presentation
from tests.portal.clients import Portal
from tests.portal.reading_studies import Reading, open_study

READERS = 4
PER_SIDE = 24
LETTERS = 16  # of a token, as numbers
# What differs from page to page besides the token: number of the image, progress, the reader's own form and name.
_VARIES = re.compile(
    r'Image \d+ of|<progress [^>]*>|[0-9a-f]{64}|reader\d| open class="keys"| class="keys"|\?begin=main'
)


def area_by_classifier(features: Sequence[Sequence[float]], real: Sequence[bool], seed: int = 0) -> float:
    """AUC of ridge regression on standardized features, each image scored by a fit to the other tenths."""
    x, y = np.array(features, float), np.where(real, 1.0, -1.0)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    parts = np.random.default_rng(seed).permutation(len(x)) % 10
    scores = np.empty(len(x))
    for part in range(10):
        own, others = parts == part, parts != part
        weights = np.linalg.solve(
            x[others].T @ x[others] + 10 * np.eye(x.shape[1]), x[others].T @ (y[others] - y[others].mean())
        )
        scores[own] = x[own] @ weights
    return _area(scores[y > 0], scores[y < 0])


def _area(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    higher = (positive[:, None] > negative).mean()
    return float(higher + (positive[:, None] == negative).mean() / 2)


def chunks(png: bytes) -> list[tuple[bytes, int]]:
    """Names and lengths of all chunks."""
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        found.append((png[at + 4 : at + 8], length))
        at += length + 12
    return found


def test_a_classifier_on_everything_but_the_pixels_stays_at_chance(portal: Portal, store: Store) -> None:
    study = open_study(portal, store, images_per_side=PER_SIDE, warm_up=0, repeats=0.25, max_per_patient=4)
    key = {
        row.item: row.truth == "real"
        for row in read_key(store, read_study(store, study.name, study.version)).rows
    }
    features, leaky, real, headers, sizes, pages = [], [], [], set(), set(), set()
    for number in range(READERS):
        reader = Reading(portal.client(portal.account(f"reader{number}")), study.name)
        reader.join()
        while token := reader.token:
            start = time.perf_counter()
            image = reader.look()
            seconds = time.perf_counter() - start
            start = time.perf_counter()
            page = reader.page.text
            reader.answer()
            next_seconds = time.perf_counter() - start
            with portal.session() as db:
                shown = db.scalars(select(Presentation).where(Presentation.token == token)).one()
            headers.add(tuple(image.headers.items()))
            sizes.add((len(image.content), tuple(chunks(image.content)), image.content[:33]))
            pages.add(_VARIES.sub("", page.replace(token, "")))
            features.append(
                [
                    seconds,
                    next_seconds,
                    len(page),
                    shown.position,
                    shown.position % 2,
                    len(image.content),
                    sum(map(len, image.headers.values())),
                    *map(ord, token[:LETTERS]),
                ]
            )
            leaky.append([*features[-1], len(zlib.compress(image.content))])
            real.append(key[shown.item])
    assert len(real) == READERS * (2 * PER_SIDE + 12)
    assert len(headers) == 1, headers
    assert len(sizes) == 1
    assert len(pages) == 1
    ((_, found, _),) = sizes
    assert [name for name, _ in found] == [b"IHDR", b"IDAT", b"IEND"]
    # 240 images: the standard error of an area at chance is 0.037.
    assert abs(area_by_classifier(features, real) - 0.5) < 4 * 0.037
    # The same classifier sees what would tell, if one column did: how well the pixels compress.
    assert area_by_classifier(leaky, real) > 0.95


def test_the_page_holds_no_item_no_truth_and_no_name_of_the_set(portal: Portal, store: Store) -> None:
    study = open_study(portal, store)
    reader = Reading(portal.client(portal.account("ana")), study.name)
    reader.join()
    seen = []
    while reader.token:
        seen.append(reader.page.text)
        image = reader.look()
        assert image.headers["cache-control"] == "no-store"
        assert not {"etag", "last-modified", "content-disposition", "server-timing"} & set(image.headers)
        reader.answer()
    for page in seen:
        for word in (
            study.design["set_name"],
            study.design["set_version"],
            study.version,
            "repeat",
            "patient",
        ):
            assert word not in page.split("<main")[1].replace("no-repeat", "")


def test_readers_have_orders_and_names_of_images_of_their_own(portal: Portal, store: Store) -> None:
    study = open_study(portal, store)
    for name in ("ana", "ben"):
        Reading(portal.client(portal.account(name)), study.name).join()
    with portal.session() as db:
        rows = list(
            db.scalars(select(Presentation).order_by(Presentation.participation_id, Presentation.position))
        )
    first, second = rows[:17], rows[17:]
    assert {row.item for row in first} == {row.item for row in second}
    assert [row.item for row in first] != [row.item for row in second]
    assert len({row.token for row in rows}) == 34
    assert all(len(row.token) == 32 for row in rows)
