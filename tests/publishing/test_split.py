"""split.csv: what it says, what it does not say of private patients, and what it is refused for."""

from dataclasses import replace
from pathlib import Path

import pytest

from chestgan_core.errors import DamagedObject
from chestgan_core.publishing.split.counts import Count, split_counts
from chestgan_core.publishing.split.private import FEWEST, published_name, without_identity
from chestgan_core.publishing.split.row import SplitRow, lines_sha256, ranges
from chestgan_core.publishing.split.table import SPLIT, read_split, split_csv, unfolded
from chestgan_core.sources.catalog.thicknesses import thickness_bin

DIGEST = lines_sha256(["1.2.3"])


def row(side: str = "train", patient: str = "P1", series: str = "1.2.1", **changes: object) -> SplitRow:
    plain = SplitRow(
        side=side,
        patient=patient,
        series=series,
        stack="",
        class_name="A",
        kernel="B70f",
        manufacturer="Siemens",
        thickness_mm=1.25,
        slices=3,
        numbers="0-1 7",
        uids_sha256=DIGEST,
        looks_sha256=DIGEST,
        files=120,
        bytes=60_000_000,
        licence="CC BY 4.0",
        doi="10.7937/x",
        citation="Somebody, A. A Collection.",
        source="idc",
        location="s3://bucket/folder/",
        revision="folder",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


ROWS = [
    row(),
    row(series="1.2.2", kernel="B30f", slices=1, numbers="4", thickness_mm=5.0),
    row("held-out", "P2", "1.2.3", class_name="B", manufacturer="", thickness_mm=0.0),
]


def written(tmp_path: Path, data: bytes) -> Path:
    (tmp_path / SPLIT).write_bytes(data)
    return tmp_path / SPLIT


def test_a_split_is_read_back_as_it_was_written_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert read_split(written(tmp_path, split_csv(ROWS))) == ROWS
    assert split_csv(ROWS) == split_csv(read_split(tmp_path / SPLIT))
    assert split_csv(ROWS).decode().splitlines()[0].startswith("side,patient,series,stack,class,")


def test_text_of_a_header_is_nothing_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    strange = [row(kernel='=cmd|"x"', manufacturer="two\nlines"), *ROWS[1:]]
    data = split_csv(strange)
    assert b",'=cmd" in data.replace(b'"', b"")
    assert len(data.splitlines()) == 1 + len(strange)
    found = read_split(written(tmp_path, data))[0]
    assert (found.kernel, found.manufacturer) == ('=cmd|"x"', "two\\nlines")


def test_a_column_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    lines = split_csv(ROWS).decode().splitlines()
    later = "\n".join([lines[0] + ",dose", *(line + ",7" for line in lines[1:])]).encode()
    assert read_split(written(tmp_path, later)) == ROWS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("numbers", "digits"), "no column numbers"),
        (lambda text: text.replace("0-1 7", "0-9999999"), "other numbers of slices"),
        (lambda text: text.replace("0-1 7", "7 0-1"), "other numbers of slices"),
        (lambda text: text.replace("0-1 7", "0-1 8 9"), "other numbers of slices"),
        (lambda text: text.replace("held-out,P2", "held-out,P1"), "patient(s) on both sides"),
        (lambda text: text.replace("held-out,P2", "trial,P2"), "no valid value for side in line 4"),
        (lambda text: text.replace("held-out,P2", "held-out,../P2"), "no valid value for patient in line 4"),
        (lambda text: text.replace("1.2.2", "1.2.1"), "lists a series twice"),
        (lambda text: text.replace(",5,1,", ",-5,1,"), "no valid value for thickness_mm in line 3"),
        (lambda text: text.replace(",5,1,", ",nan,1,"), "no valid value for thickness_mm in line 3"),
        (lambda text: text.replace(DIGEST, DIGEST[:-1] + "G", 1), "no valid value for uids_sha256"),
        (lambda text: text.replace("B30f", "B30f\x1b[2J"), "no valid value for kernel in line 3"),
        (lambda text: text.replace("B30f", "B30f\u202e"), "no valid value for kernel in line 3"),
        (lambda text: text.replace("B30f", "x" * 5_000), "no valid value for kernel in line 3"),
        (lambda text: text.replace("B30f", "x" * 200_000), "is not CSV"),
        (lambda text: text.replace("B30f", '"B30f'), "is not CSV"),
        (lambda text: text + "train,P9\n", "has 2 values in line 5"),
        (lambda text: "\n".join(text.splitlines()[:2]), "does not have both sides"),
        (lambda text: "", "no column side"),
    ],
)
def test_a_split_that_is_not_one_is_refused_and_the_line_is_named(
    tmp_path: Path, change: object, says: str
) -> None:
    data = change(split_csv(ROWS).decode()).encode()  # type: ignore[operator]
    with pytest.raises(DamagedObject) as refused:
        read_split(written(tmp_path, data))
    assert says in str(refused.value)


def test_bytes_that_are_no_text_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedObject, match="is not CSV"):
        read_split(written(tmp_path, split_csv(ROWS).replace(b"B30f", b"\xff\xfe")))
    (tmp_path / "link").symlink_to(tmp_path / SPLIT)
    with pytest.raises(DamagedObject, match="not a file"):
        read_split(tmp_path / "link")


def test_ranges_fold_and_unfold() -> None:
    for numbers in ([0], [5], [0, 1, 2], [0, 2, 3, 9], list(range(200))):
        assert unfolded(ranges(numbers)) == numbers


def test_counts_add_up_and_a_series_without_a_value_is_unknown() -> None:
    counts = split_counts(ROWS)
    assert counts.sides == {"train": Count(1, 2, 4), "held-out": Count(1, 1, 3)}
    assert set(counts.by) == {"class", "kernel", "scanner", "thickness"}
    for by_value in counts.by.values():
        for side, total in counts.sides.items():
            assert sum(sides[side].series for sides in by_value.values()) == total.series
            assert sum(sides[side].slices for sides in by_value.values()) == total.slices
    # One patient has series of two kernels, and counts once for each.
    assert [sides["train"].patients for sides in counts.by["kernel"].values()] == [1, 1]
    assert list(counts.by["scanner"]) == ["Siemens", "unknown"]
    assert list(counts.by["thickness"]) == ["over 1 to 2 mm", "over 3 to 5 mm", "unknown"]
    assert [thickness_bin(mm) for mm in (0.5, 1.0, 1.01, 7.0, 0.0)] == [
        "up to 1 mm", "up to 1 mm", "over 1 to 2 mm", "over 5 mm", "",
    ]  # fmt: skip


def private_rows(classes: dict[str, int], side: str = "train") -> list[SplitRow]:
    """As many patients of each class, with a series each."""
    return [
        row(side, f"P{name}{number}", f"2.25.{ord(name)}{number}", class_name=name, stack="3f")
        for name, count in classes.items()
        for number in range(count)
    ]


def test_a_private_split_tells_neither_scanner_nor_examination_nor_the_names_of_the_store() -> None:
    rows = [*private_rows({"A": 6}), *private_rows({"B": 6}, "held-out")]
    published = without_identity(rows, "v1")
    for before, after in zip(rows, published, strict=True):
        assert (after.kernel, after.manufacturer, after.thickness_mm) == ("", "", 0.0)
        assert (after.location, after.revision, after.files, after.bytes) == ("", "", 0, 0)
        assert after.looks_sha256 == ""  # whoever has the images could compute it
        assert (after.side, after.slices, after.numbers, after.class_name) == (
            before.side, before.slices, before.numbers, before.class_name,
        )  # fmt: skip
    text = split_csv(published).decode()
    assert not any(name in text for one in rows for name in (one.patient, one.series, "Siemens", "B70f"))
    assert set(split_counts(published).by) == {"class"}


def test_a_private_patient_has_another_name_in_the_next_set_and_the_owner_finds_it() -> None:
    rows = private_rows({"A": 6})
    first, again, second = (without_identity(rows, version) for version in ("v1", "v1", "v2"))
    assert first == again
    assert not {one.patient for one in first} & {one.patient for one in second}
    assert first[0].patient == published_name("patient", rows[0].patient, "v1")


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        ({"A": 9, "B": 8}, {"A", "B"}),
        # The class of 3 would follow from the others, so the next smallest is not named either.
        ({"A": 9, "B": 8, "E": 3}, {"A"}),
        ({"A": 9, "E": 3}, set()),
        ({"A": 9, "B": 2, "E": 1}, set()),
        ({"A": 9, "B": 3, "E": 3}, {"A"}),
        ({"A": 2}, set()),
    ],
)
def test_a_private_class_of_few_patients_is_not_named(classes: dict[str, int], named: set[str]) -> None:
    published = without_identity(private_rows(classes), "v1")
    assert {one.class_name for one in published} - {""} == named
    unnamed = [one for one in published if not one.class_name]
    assert not unnamed or len(unnamed) >= FEWEST or len(unnamed) == len(published)
    assert len(published) == sum(classes.values())
