"""Shards on disk."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from chestgan_core.errors import BadInput
from chestgan_core.slices.shards import (
    Shard,
    SliceRow,
    read_rows,
    read_shard,
    require_replaceable,
    rows_path,
    write_shard,
)

ROW = SliceRow("P1", "A", "1.2", "1.2.1", position_mm=0.0, lung_fraction=0.3, pixel_mm=5.0)


def shard_of(count: int = 3, seed: int = 0) -> Shard:
    rng = np.random.default_rng(seed)
    rows = tuple(SliceRow("P1", "A", "2.25.1", f"2.25.1.{n}", 3.0 * n, 0.25, 5.5) for n in range(count))
    return Shard(rng.integers(-1024, 3072, (count, 8, 8)).astype(np.int16), rows)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_is_written_is_read(tmp_path, count):
    shard = shard_of(count)
    write_shard(shard, tmp_path / "new" / "a.safetensors")
    again = read_shard(tmp_path / "new" / "a.safetensors")
    assert again.rows == shard.rows
    assert again.slices.dtype == np.int16
    assert np.array_equal(again.slices, shard.slices)


def test_chosen_slices_come_with_their_rows_in_the_order_asked(tmp_path):
    shard = shard_of(5)
    write_shard(shard, tmp_path / "a.safetensors")
    some = read_shard(tmp_path / "a.safetensors", [3, 0])
    assert some.rows == (shard.rows[3], shard.rows[0])
    assert np.array_equal(some.slices, shard.slices[[3, 0]])
    assert read_rows(tmp_path / "a.safetensors") == shard.rows
    assert read_shard(tmp_path / "a.safetensors", []).slices.shape == (0, 8, 8)
    with pytest.raises(BadInput, match="cut short"):
        read_shard(tmp_path / "a.safetensors", [5])


def test_every_field_of_a_row_comes_back(tmp_path):
    row = SliceRow(
        "P1",
        "A",
        "2.25.1",
        "2.25.1.1",
        3.0,
        0.25,
        5.5,
        "B70f",
        1.25,
        "0f" * 32,
        512,
        500,
        "TC",
        -3,
        4,
        400,
        410,
    )
    write_shard(Shard(np.zeros((1, 8, 8), np.int16), (row,)), tmp_path / "a.safetensors")
    assert read_shard(tmp_path / "a.safetensors").rows == (row,)


def test_rows_of_another_version_are_refused(tmp_path):
    write_shard(shard_of(), tmp_path / "a.safetensors")
    rows = pq.read_table(tmp_path / "a.parquet").drop_columns(["phash"])
    pq.write_table(rows, tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="columns of this version"):
        read_rows(tmp_path / "a.safetensors")


def test_equal_shards_are_equal_bytes_and_nothing_else_is_left(tmp_path):
    for name in ("a", "b", "a"):
        write_shard(shard_of(), tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_who_may_read_the_rows_may_read_the_slices(tmp_path):
    path = tmp_path / "a.safetensors"
    write_shard(shard_of(), path)
    assert path.stat().st_mode == rows_path(path).stat().st_mode


def test_a_full_disk_is_told_in_one_line_and_leaves_the_old_shard(tmp_path):
    path = tmp_path / "a.safetensors"
    write_shard(shard_of(3), path)
    before = path.read_bytes()
    limited = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from chestgan_core.errors import DiskFull\n"
        "from chestgan_core.slices.shards import Shard, write_shard\n"
        "from tests.slices.test_shards import shard_of\n"
        "import numpy as np\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"  # as a full disk
        "large = Shard(np.zeros((3, 256, 256), np.int16), shard_of(3).rows)\n"
        "try:\n    write_shard(large, Path(sys.argv[1]))\n"
        "except DiskFull as error:\n    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", limited, str(path)], capture_output=True, text=True, check=True
    )
    assert "a.safetensors: cannot be written (File too large); raise ulimit -f" in ran.stdout
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"a.safetensors", "a.parquet"}


def test_rows_of_another_shard_are_refused(tmp_path):
    write_shard(shard_of(3), tmp_path / "a.safetensors")
    write_shard(shard_of(2), tmp_path / "b.safetensors")
    rows_path(tmp_path / "b.safetensors").replace(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="rows do not belong"):
        read_shard(tmp_path / "a.safetensors")


@pytest.mark.parametrize("cut", [0, 4, 60, 300])
def test_a_shard_cut_short_is_refused_in_one_line(tmp_path, cut):
    path = tmp_path / "a.safetensors"
    write_shard(shard_of(), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BadInput, match=r"a\.safetensors: .*cut short"):
        read_shard(path)


@pytest.mark.parametrize("missing", ["a.safetensors", "a.parquet"])
def test_a_missing_half_is_named(tmp_path, missing):
    write_shard(shard_of(), tmp_path / "a.safetensors")
    (tmp_path / missing).unlink()
    with pytest.raises(BadInput, match=missing):
        read_shard(tmp_path / "a.safetensors")


def test_a_shard_has_one_row_for_each_slice():
    with pytest.raises(ValueError, match="for 3 rows"):
        Shard(np.zeros((2, 8, 8), np.int16), shard_of(3).rows)


def test_a_shard_is_named_safetensors(tmp_path):
    with pytest.raises(BadInput, match="safetensors"):
        write_shard(shard_of(), tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        (np.zeros((2, 64, 100), np.int16), "has slices of 100 x 64 pixels, not square ones"),
        (np.zeros((2, 0, 0), np.int16), "has slices of 0 x 0 pixels, not square ones"),
        (np.zeros((2, 64), np.int16), "has 2 x 64 values of type I16 as `slices`, not"),
        (np.zeros((2, 1, 64, 64), np.int16), "has 2 x 1 x 64 x 64 values of type I16"),
        (np.zeros((2, 64, 64), np.float32), "has 2 x 64 x 64 values of type F32"),
    ],
)
def test_slices_are_square_and_int16(slices: np.ndarray, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_shard(Shard(np.zeros((2, 8, 8), np.int16), (ROW, ROW)), path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    save_file({"slices": slices}, path, metadata)
    for chosen in (None, [0]):
        with pytest.raises(BadInput, match=said):
            read_shard(path, chosen)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lung_fraction", float("nan")),
        ("position_mm", float("inf")),
        ("kernel", "x" * 2000),
        ("position", float("nan")),
        ("position", 1.1),
        ("position", -0.5),
    ],
)
def test_rows_hold_numbers_and_short_texts(field: str, value: object, tmp_path: Path) -> None:
    write_shard(
        Shard(np.zeros((1, 8, 8), np.int16), (replace(ROW, **{field: value}),)), tmp_path / "a.safetensors"
    )
    with pytest.raises(BadInput, match=f"has a value out of range in the column {field}"):
        read_shard(tmp_path / "a.safetensors")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match="is not a file"):
        read_shard(tmp_path / "a.safetensors")


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    require_replaceable(path)
    write_shard(Shard(np.zeros((1, 8, 8), np.int16), (ROW,)), path)
    require_replaceable(path)
    (tmp_path / "b.safetensors").write_text("mine")
    (tmp_path / "c.parquet").write_text("mine")
    (tmp_path / "d.safetensors").mkdir()
    for name in ("b", "c", "d"):
        with pytest.raises(BadInput, match=r"is there, and holds no|is a folder"):
            require_replaceable(tmp_path / f"{name}.safetensors")
