"""What the public pages are made of: cards, bars, presets, films, and what is kept for a moment."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.documents.markdown import markdown
from chestgan_core.errors import DamagedObject, StoreUnreachable
from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement, MetricRow, RowContext
from chestgan_core.imaging.windows import WINDOWS, Window
from chestgan_core.store.store import Store
from chestgan_portal.public.bars import chart_of, shares
from chestgan_portal.public.card import blocks_of, spans_of
from chestgan_portal.public.film import frames_of
from chestgan_portal.public.kept import Kept
from chestgan_portal.public.presets import presets_of, through
from chestgan_portal.public.set_images import SetImages
from tests.portal.public_store import FRAMES, film, publish_all


def text_of(line: str) -> str:
    return "".join(span.text for span in spans_of(line))


def test_a_card_is_headings_paragraphs_lists_tables_and_code() -> None:
    text = "# One\n\nA **b** `c`\nd\n\n- x\n- y\n  z\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n    code\n"
    text += "\n```py\nmore\n```\n"
    blocks = blocks_of(text)
    assert [block.kind for block in blocks] == [
        "heading", "paragraph", "list", "table", "code", "code",
    ]  # fmt: skip
    assert [(span.text, span.style) for span in blocks[1].lines[0]] == [
        ("A ", ""), ("b", "strong"), (" ", ""), ("c", "code"), (" d", ""),
    ]  # fmt: skip
    assert ["".join(span.text for span in line) for line in blocks[2].lines] == ["x", "y z"]
    assert blocks[3].head[1][0].text == "b"
    assert blocks[3].rows[0][0][0].text == "1"
    assert (blocks[4].text, blocks[5].text) == ("code", "more")


def test_fields_for_programs_and_pictures_of_the_folder_are_no_part_of_a_card() -> None:
    text = "---\nlicense: other\n---\n\n# One\n\n![Samples](samples.png)\n\nSamples.\n\n![x](http://evil.example/x.png)\n"
    blocks = blocks_of(text)
    assert [block.kind for block in blocks] == ["heading", "paragraph", "paragraph"]
    assert blocks[1].lines[0][0].text == "Samples."
    # An address is text, as everything that is not understood.
    assert blocks[2].lines[0][0].text == "![x](http://evil.example/x.png)"


def test_a_table_without_a_head_has_rows_only() -> None:
    [table] = blocks_of("| | |\n|---|---|\n| images | 20 |\n| model |\n")
    assert table.head == ()
    assert [len(row) for row in table.rows] == [2, 2]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_text_that_was_made_safe_for_markdown_is_shown_as_it_was(text: str) -> None:
    shown = " ".join(text_of(markdown(text)).split())
    assert shown == " ".join(text.split()) or any(not one.isprintable() for one in text)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_card_of_text(text: str) -> None:
    for block in blocks_of(text):
        assert block.kind in ("heading", "paragraph", "list", "table", "code")
        assert block.kind != "table" or len({len(row) for row in block.rows}) <= 1


@pytest.mark.parametrize(
    "text", ["|" * 200_000, "*" * 200_000, "`" * 200_001, "\\" * 200_000, "- \n" * 60_000]
)
def test_a_card_made_to_take_long_does_not(text: str) -> None:
    started = time.monotonic()
    blocks_of(text)
    assert time.monotonic() - started < 5


def row(
    value: float | None, floor: float | None = None, ends: tuple[float, float] | None = None
) -> MetricRow:
    context = RowContext("an extractor", (9, 9), "a split", "", 0)
    found = Measurement(value, "", interval=ends, floor=FloorValue(floor, "", 9))
    [made] = context.rows(lambda: {"KID": found})
    return made


def test_bars_are_as_long_as_their_values_and_the_floor_is_at_its_place() -> None:
    chart = chart_of(
        "KID", [("a", row(0.4, 0.1, (0.3, 0.5))), ("b", row(0.2, 0.1)), ("c", row(None)), ("d", None)]
    )
    assert chart is not None
    a, b, c = chart.bars
    assert a.length == pytest.approx(2 * b.length, abs=0.02)
    assert chart.floor == pytest.approx(a.length / 4, abs=0.02)
    assert a.high is not None
    assert a.high <= 100
    assert (a.text, a.interval, chart.unit) == ("400.0", "300.0 to 500.0", "x 1000")
    assert (c.text, c.length) == ("", 0)


def test_a_negative_value_begins_left_of_zero() -> None:
    chart = chart_of("KID", [("a", row(-0.1)), ("b", row(0.1))])
    assert chart is not None
    left, right = chart.bars
    assert left.start == 0
    assert left.start + left.length == pytest.approx(right.start, abs=0.02)
    assert left.length == pytest.approx(right.length, abs=0.02)


def test_a_measure_without_values_has_no_chart() -> None:
    assert chart_of("KID", [("a", row(None)), ("b", None)]) is None
    assert shares([]).bars == ()


def test_presets_say_what_a_set_cannot_show() -> None:
    lung = {one.name: one for one in presets_of(WINDOWS["lung"])}
    assert lung["lung"].missing == ""
    assert "end at 150 HU" in lung["bone"].missing
    wide = {one.name: one for one in presets_of(Window(0, 3000))}
    assert [wide[name].missing for name in ("lung", "mediastinum", "bone")] == ["", "", ""]
    narrow = {one.name: one for one in presets_of(Window(0, 100))}
    assert "-50 to 50 HU only" in narrow["bone"].missing
    air = {one.name: one for one in presets_of(Window(-1000, 100))}
    assert not air["mediastinum"].available
    assert "nothing of this window is in them" in air["mediastinum"].missing
    assert [one.name for one in presets_of(WINDOWS["grey"])] == ["full"]


@pytest.mark.parametrize("name", ["lung", "mediastinum", "bone"])
def test_a_preset_is_exact_to_one_grey_level_for_every_level(name: str) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    window = Window(-300, 1400)
    low, high = {"lung": (-1350, 150), "mediastinum": (-160, 240), "bone": (-500, 1300)}[name]
    hounsfield = -1000 + grey.astype(float) / 255 * 1400
    expected = np.clip((hounsfield - low) / (high - low), 0, 1) * 255
    assert np.abs(through(grey, window, name).astype(float) - expected).max() <= 0.51
    assert through(grey, window, "full") is grey


def test_a_film_is_its_frames() -> None:
    assert len(frames_of(film(), "a film")) == FRAMES


@pytest.mark.parametrize(
    "gif", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", film()[:300], b"GIF89a" + b"\xff" * 200]
)
def test_what_is_no_film_is_refused(gif: bytes) -> None:
    with pytest.raises(DamagedObject):
        frames_of(gif, "a film")


def test_a_film_of_enormous_frames_is_refused_before_it_is_decoded() -> None:
    gif = film()
    huge = gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    with pytest.raises(DamagedObject):
        frames_of(huge, "a film")


def test_of_many_at_once_one_reads() -> None:
    kept: Kept[int] = Kept(10, 60)
    calls: list[int] = []

    def read() -> int:
        calls.append(1)
        time.sleep(0.1)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(kept.get("x", read))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(calls)) == ([7] * 20, 1)


def test_values_are_read_again_after_their_time_and_the_oldest_make_room() -> None:
    numbers = iter(range(100))
    short: Kept[int] = Kept(10, 0.05)
    assert [short.get("x", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]
    time.sleep(0.06)
    assert short.get("x", lambda: next(numbers)) == 1
    few: Kept[int] = Kept(2)
    for key in ("a", "b", "a", "c"):
        few.get(key, lambda: next(numbers))
    assert few.get("a", lambda: -1) != -1
    assert few.get("b", lambda: -1) == -1


def test_a_store_that_is_down_is_not_asked_by_every_request_and_a_mistake_is_not_kept() -> None:
    kept: Kept[int] = Kept(10, 60)
    asked: list[int] = []

    def down() -> int:
        asked.append(1)
        raise StoreUnreachable("store", "does not answer", "start it")

    for _ in range(5):
        with pytest.raises(StoreUnreachable):
            kept.get("x", down)
    assert len(asked) == 1
    with pytest.raises(ZeroDivisionError):
        kept.get("y", lambda: 1 // 0)
    assert kept.get("y", lambda: 3) == 3


def test_tars_share_a_bounded_room_and_images_are_right_whatever_leaves_it(store: Store) -> None:
    sets = publish_all(store)
    tars = {
        name: next(item for item in made.objects if item.key.endswith(".tar")) for name, made in sets.items()
    }
    room = max(item.bytes for item in tars.values()) + 10
    images = SetImages(room)
    names = ["second", "typed", "pictures"] * 3
    failed: list[BaseException] = []

    def look(name: str) -> None:
        try:
            for index in range(6):
                shown = images.image(store, sets[name], index)
                assert shown.row["index"] == index
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=look, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    held = Path(images._place())
    assert sum(path.stat().st_size for path in held.rglob("*.tar")) <= room
