"""Archives that a stranger delivers: what is in them is read, and what is made to harm costs a line."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.dicom import archive_members, headers
from chestgan_core.dicom.archive_members import BadArchive
from chestgan_core.dicom.file_walk import READ_ERRORS, Archives, Found, Refused, files_below, walk
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.zip_archive import open_zip
from chestgan_core.errors import BadInput, DiskFull
from tests.dicom.ct_files import as_bytes, ct_slice

MIB = 1024**2
SLICE = bytes(128) + b"DICM" + bytes(range(256)) * 100


def read_all(*paths: Path) -> tuple[dict[str, bytes], list[Refused]]:
    """Contents by the last part of the name, and what is refused."""
    contents: dict[str, bytes] = {}
    refused: list[Refused] = []
    with Archives() as archives:
        for file in walk(paths, archives):
            if isinstance(file, Refused):
                refused.append(file)
                continue
            try:
                data = archives.read(file.location, file.size)
                with archives.open(file.location) as stream:
                    assert stream.read() == data
            except READ_ERRORS:
                refused.append(Refused(file.name, LeftOut.UNREADABLE, "while it was read"))
                continue
            assert archives.state(file.location)[0] == len(data)
            contents[file.name.rpartition(":")[2].rpartition("/")[2]] = data
    return contents, refused


def reasons(refused: list[Refused]) -> Counter[LeftOut]:
    return Counter(one.reason for one in refused)


def tar_of(entries: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def zip_of(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


FILES = {"a.dcm": SLICE, "folder/b.dcm": SLICE[::-1], "empty": b""}
READ = {"a.dcm": SLICE, "b.dcm": SLICE[::-1], "empty": b""}
LONG_NAME = "/".join(["f" * 90] * 4) + "/a.dcm"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tar", tar_of(FILES)),
        ("a.tar", tar_of(FILES, form=tarfile.GNU_FORMAT)),
        ("a.tar", tar_of(FILES, form=tarfile.USTAR_FORMAT)),
        ("a.tar.gz", tar_of(FILES, "w:gz")),
        ("a.tgz", tar_of(FILES, "w:gz")),
        ("without-suffix", tar_of(FILES, "w:gz")),
        ("a.tar.bz2", tar_of(FILES, "w:bz2")),
        ("a.tar.xz", tar_of(FILES, "w:xz")),
        ("a.zip", zip_of(FILES)),
        ("a.zip", zip_of(FILES, zipfile.ZIP_STORED)),
        ("a.zip", zip_of(FILES, zipfile.ZIP_BZIP2)),
        ("a.zip", zip_of(FILES, zipfile.ZIP_LZMA)),
        ("a.zip", zip_of({"in.tar.gz": tar_of(FILES, "w:gz")})),
        ("a.tar", tar_of({"in.zip": zip_of(FILES)})),
        ("two.tar", tar_of({"a.dcm": SLICE, "empty": b""}) + tar_of({"b.dcm": SLICE[::-1]})),
        ("two.gz", gzip.compress(tar_of(FILES)[:700]) + gzip.compress(tar_of(FILES)[700:]) + bytes(512)),
    ],
)
def test_every_kind_of_archive_gives_the_bytes_of_its_files(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert read_all(tmp_path) == (READ, [])


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_of_tars_are_read(tmp_path: Path, form: int) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of({LONG_NAME: SLICE, "größe/ß.dcm": b"x"}, form=form))
    with Archives() as archives:
        names = [file.name for file in walk([tmp_path], archives)]
    assert names == [f"{tmp_path}/a.tar:{LONG_NAME}", f"{tmp_path}/a.tar:größe/ß.dcm"]


@pytest.mark.parametrize(
    ("suffix", "press"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_single_compressed_file_is_the_file_in_it(
    tmp_path: Path, suffix: str, press: Callable[[bytes], bytes]
) -> None:
    (tmp_path / f"a.dcm{suffix}").write_bytes(press(SLICE))
    assert read_all(tmp_path) == ({"a.dcm": SLICE}, [])


def test_a_dicom_file_may_have_the_mark_of_an_archive_in_its_preamble(tmp_path: Path) -> None:
    for number, mark in enumerate([b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh91AY&SY"]):
        (tmp_path / str(number)).write_bytes(mark + SLICE[len(mark) :])
    contents, refused = read_all(tmp_path)
    assert (len(contents), refused) == (3, [])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(40)),
        ("a.rar", b"Rar!\x1a\x07\x01\x00" + bytes(40)),
        ("renamed", b"Rar!\x1a\x07\x01\x00" + bytes(40)),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(40)),
        ("a.7z.001", b"anything"),
        ("a.zip", b"<html>please log in</html>"),
        ("a.iso", bytes(100)),
        ("a.zip", zip_of({})),
    ],
)
def test_an_archive_that_is_not_read_is_called_one(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert reasons(read_all(tmp_path)[1]) == {LeftOut.ARCHIVE: 1}


def test_links_devices_and_pipes_in_a_tar_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in [("s", "2"), ("h", "1"), ("c", "3"), ("b", "4"), ("p", "6"), ("d", "5")]:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind.encode(), "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("a.dcm")
        entry.size = len(SLICE)
        archive.addfile(entry, io.BytesIO(SLICE))
    contents, refused = read_all(path)
    assert contents == {"a.dcm": SLICE}
    assert reasons(refused) == {LeftOut.SPECIAL_FILE: 5}
    assert "link" in refused[0].cause


def test_a_sparse_file_in_a_tar_is_refused_and_what_follows_is_read(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        for part in range(30):
            file.seek(part * 100_000)
            file.write(b"x")
    (tmp_path / "z.dcm").write_bytes(SLICE)
    for form in ("gnu", "posix"):
        path = tmp_path / f"{form}.tar"
        tar = ["tar", f"--format={form}", "--sparse", "-cf", str(path), "-C", str(tmp_path), "holes", "z.dcm"]
        if shutil.which("tar") is None or subprocess.run(tar, check=False).returncode:
            pytest.skip("needs GNU tar")
        contents, refused = read_all(path)
        assert contents == {"z.dcm": SLICE}
        assert [(one.reason, "sparse" in one.cause) for one in refused] == [(LeftOut.UNREADABLE, True)]


@pytest.mark.parametrize("name", ["../up.dcm", "/etc/x", "a/../../b", "C:\\x"])
def test_an_entry_whose_name_leaves_the_tar_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_of({name: SLICE}, "w:gz"))
    assert reasons(read_all(tmp_path)[1]) == {LeftOut.UNSAFE_NAME: 1}


@pytest.mark.parametrize("keep", [3, 30, 600, 15000, -1200, -30, -4])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_cut_short_is_told_wherever_it_ends(tmp_path: Path, mode: str, keep: int) -> None:
    data = tar_of({"a": SLICE, "b": os.urandom(20000)}, mode)
    tail = data[:keep] if mode != "w" or keep > 0 else data.rstrip(b"\0")[: keep + 1]
    (tmp_path / "a.tar").write_bytes(tail)
    contents, refused = read_all(tmp_path)
    assert refused
    assert set(reasons(refused)) <= {LeftOut.UNREADABLE, LeftOut.ARCHIVE}
    assert set(contents) <= {"a", "b"}


def test_a_damaged_header_within_a_tar_is_told(tmp_path: Path) -> None:
    data = bytearray(tar_of({"a": SLICE, "b": SLICE, "c": SLICE}, form=tarfile.USTAR_FORMAT))
    second = 512 + -(-len(SLICE) // 512) * 512
    data[second + 130] ^= 7
    (tmp_path / "a.tar").write_bytes(data)
    contents, refused = read_all(tmp_path)
    assert set(contents) == {"a"}
    assert reasons(refused) == {LeftOut.UNREADABLE: 1}


def test_extended_headers_of_any_length_are_not_read_into_memory(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = b"L", 40 * MIB
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + bytes(40 * MIB)))
    tracemalloc.start()
    contents, refused = read_all(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (contents, reasons(refused)) == ({}, {LeftOut.UNREADABLE: 1})
    assert peak < 20 * MIB


@pytest.mark.parametrize("press", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_bomb_stops_at_its_allowance(
    tmp_path: Path, press: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_members, "FREE_BYTES", MIB // 2)
    (tmp_path / "a.tar.gz").write_bytes(press(bytes(10 * MIB)))
    contents, refused = read_all(tmp_path)
    assert contents == {}
    assert [(one.reason, "bomb" in one.cause) for one in refused] == [(LeftOut.UNREADABLE, True)]


def test_archives_in_one_archive_share_an_allowance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "FREE_BYTES", 3 * MIB)
    monkeypatch.setattr(archive_members, "MAX_EXPANSION", 1)
    inner = zip_of({"a": bytes(MIB)}, zipfile.ZIP_STORED)
    (tmp_path / "a.zip").write_bytes(zip_of({f"{number}.zip": inner for number in range(10)}))
    contents, refused = read_all(tmp_path)
    assert set(contents) == {"a"}
    assert 7 <= len(refused) <= 8
    assert all("bomb" in one.cause for one in refused)


def test_no_space_for_an_inner_archive_is_said_and_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tar_of({"a": os.urandom(6 * MIB)})))
    full = shutil._ntuple_diskusage(100, 90, 10)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(DiskFull, match=r"a\.tar\.gz.*no space.*TMPDIR"):
        read_all(tmp_path)


def overlapping_zip(copies: int, stated: int, content: int) -> bytes:
    """Entries of the table of contents that all point at one local entry, and state another size."""
    press = zlib.compressobj(9, wbits=-15)
    packed = press.compress(bytes(content)) + press.flush()
    crc = zlib.crc32(bytes(content))
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(packed), stated, 1, 0) + b"a" + packed
    )
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(packed), stated, 1, 0, 0, 0, 0, 0, 0
    )
    table = (entry + b"a") * copies
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, copies, copies, len(table), len(local), 0)
    return local + table + end


def test_entries_of_a_zip_that_share_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(overlapping_zip(5, 1000, 1000))
    contents, refused = read_all(tmp_path)
    assert (contents, reasons(refused)) == ({}, {LeftOut.UNREADABLE: 5})
    assert "shares its bytes" in refused[0].cause
    with pytest.raises(BadArchive, match="shares its bytes"):
        open_zip(tmp_path / "a.zip")


@pytest.mark.parametrize("stated", [0, 8000, 500_000_000])
def test_an_entry_that_states_another_size_is_unreadable_and_not_unpacked(
    tmp_path: Path, stated: int
) -> None:
    (tmp_path / "a.zip").write_bytes(overlapping_zip(1, stated, 20 * MIB))
    tracemalloc.start()
    contents, refused = read_all(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (contents, reasons(refused)) == ({}, {LeftOut.UNREADABLE: 1})
    assert stated > 20 * MIB or peak < 2 * MIB


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_in_a_zip_keep_to_the_stated_size(tmp_path: Path, method: int) -> None:
    data = bytearray(zip_of({"a": bytes(20 * MIB)}, method))
    table = data.rindex(b"PK\1\2")
    struct.pack_into("<I", data, table + 24, 1000)
    (tmp_path / "a.zip").write_bytes(data)
    tracemalloc.start()
    contents, refused = read_all(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (contents, reasons(refused)) == ({}, {LeftOut.UNREADABLE: 1})
    assert peak < 12 * MIB  # LZMA has a dictionary of 8 MiB


def test_an_encrypted_entry_says_so(tmp_path: Path) -> None:
    data = bytearray(zip_of({"a": SLICE, "b": SLICE}))
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    contents, refused = read_all(tmp_path)
    assert contents == {"b": SLICE}
    assert [(one.reason, "encrypted" in one.cause) for one in refused] == [(LeftOut.UNREADABLE, True)]


def test_an_unknown_compression_says_so(tmp_path: Path) -> None:
    data = bytearray(zip_of({"a": SLICE}))
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 10, 9)  # Deflate64
    (tmp_path / "a.zip").write_bytes(data)
    assert "method 9" in read_all(tmp_path)[1][0].cause


def test_a_wrong_crc_is_unreadable(tmp_path: Path) -> None:
    data = bytearray(zip_of({"a": SLICE, "b": SLICE}, zipfile.ZIP_STORED))
    data[200] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    contents, refused = read_all(tmp_path)
    assert contents == {"b": SLICE}
    assert reasons(refused) == {LeftOut.UNREADABLE: 1}


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 600_000, 2_000_000])
def test_an_entry_of_any_size_and_compression_is_read_as_it_was(
    tmp_path: Path, level: int, size: int
) -> None:
    noisy = np.random.default_rng(size).integers(0, 40, size, np.uint8).tobytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr("a", noisy)
        archive.writestr("b", noisy, zipfile.ZIP_STORED)
    assert read_all(tmp_path) == ({"a": noisy, "b": noisy}, [])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@given(at=st.integers(0, 2_000), bits=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_entry_is_never_read_as_something_else(method: int, at: int, bits: int, cut: bool) -> None:
    content = SLICE[:3_000] + os.urandom(100)
    data = bytearray(zip_of({"a": content}, method))
    start = 31  # behind the entry's own header and its name
    packed = struct.unpack_from("<I", data, data.index(b"PK\1\2") + 20)[0]
    if cut:
        del data[start + at % packed : start + packed]
    else:
        data[start + at % packed] ^= bits
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.zip").write_bytes(data)
        contents, refused = read_all(Path(folder))
    # The last byte of a deflated stream has bits that mean nothing.
    assert len(refused) == 1 or contents == {"a": content}
    assert method == zipfile.ZIP_DEFLATED or len(refused) == 1


def test_a_damaged_entry_has_its_cause(tmp_path: Path) -> None:
    data = bytearray(zip_of({"a": SLICE, "b": SLICE}))
    data[31:41] = b"\xff" * 10  # no deflated stream begins like this
    (tmp_path / "a.zip").write_bytes(data)
    contents, refused = read_all(tmp_path)
    assert (contents, [one.cause for one in refused]) == (
        {"b": SLICE},
        ["the archive is damaged or cut short"],
    )


def test_a_zip64_is_read(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
        archive.open("a", "w", force_zip64=True) as entry,
    ):
        entry.write(SLICE)
    assert read_all(tmp_path) == ({"a": SLICE}, [])


def test_too_many_entries_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("archive_members", "tar_archive", "zip_archive", "file_walk"):
        monkeypatch.setattr(f"chestgan_core.dicom.{module}.MAX_MEMBERS", 20)
    many = {str(number): b"x" for number in range(30)}
    few = {str(number): b"x" for number in range(15)}
    (tmp_path / "a.zip").write_bytes(zip_of(many))
    (tmp_path / "b.tar").write_bytes(tar_of(many))
    (tmp_path / "c.zip").write_bytes(zip_of({"1.zip": zip_of(few), "2.zip": zip_of(few)}))
    contents, refused = read_all(tmp_path)
    assert set(contents) == set(few)
    assert [one.name.removeprefix(f"{tmp_path}/") for one in refused] == ["a.zip", "b.tar", "c.zip:2.zip"]
    assert all("more than 20" in one.cause for one in refused)


def test_archives_within_archives_end(tmp_path: Path) -> None:
    data = SLICE
    for depth in range(6):
        data = zip_of({f"{depth}.zip": data}) if depth % 2 else tar_of({f"{depth}.tar": data}, "w:gz")
    (tmp_path / "a.zip").write_bytes(data)
    assert [one.cause for one in read_all(tmp_path)[1]] == ["archives are nested too deeply"]


def test_links_out_of_the_delivery_are_counted_and_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "delivery" / "inside"
    outside.mkdir()
    inside.mkdir(parents=True)
    (outside / "secret.dcm").write_bytes(SLICE)
    (inside / "a.dcm").write_bytes(SLICE)
    (inside / "root").symlink_to("/proc/self/root")
    (inside / "folder").symlink_to(outside)
    (inside / "file.dcm").symlink_to(outside / "secret.dcm")
    (inside / "up").symlink_to("../..")
    (inside / "broken").symlink_to("nowhere")
    (inside / "loop").symlink_to("loop")
    contents, refused = read_all(tmp_path / "delivery")
    assert contents == {"a.dcm": SLICE}
    assert reasons(refused) == {LeftOut.SPECIAL_FILE: 6}
    assert list(files_below(tmp_path / "delivery")) == [inside / "a.dcm"]


def test_links_within_the_delivery_are_followed_and_folders_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.dcm").write_bytes(SLICE)
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "a" / "self").symlink_to("..")
    (tmp_path / "class.dcm").symlink_to("a/1.dcm")
    contents, refused = read_all(tmp_path)
    assert contents == {"1.dcm": SLICE, "class.dcm": SLICE}
    assert reasons(refused) == {LeftOut.DUPLICATE: 2}


def test_a_folder_may_be_named_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.dcm").write_bytes(SLICE)
    (tmp_path / "b").symlink_to("a")
    assert read_all(tmp_path / "b") == ({"1.dcm": SLICE}, [])


def test_pipes_sockets_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        (tmp_path / "a.dcm").write_bytes(SLICE)
        contents, refused = read_all(tmp_path)
    assert contents == {"a.dcm": SLICE}
    assert [one.cause.partition(",")[0] for one in refused] == ["a pipe", "a socket"]
    assert reasons(read_all(tmp_path / "pipe")[1]) == {LeftOut.SPECIAL_FILE: 1}


def test_a_deep_folder_is_read(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "for _ in range(400):\n"
        "    os.mkdir('d'); os.chdir('d')\n"
        "open('a.dcm', 'wb').write(b'x')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert read_all(tmp_path) == ({"a.dcm": b"x"}, [])


def test_a_path_that_cannot_be_looked_up_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_all(tmp_path / ("x" * 300))


def test_the_first_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_of({"a.dcm": SLICE}, "w:gz"))
    with Archives() as archives:
        (found,) = walk([tmp_path], archives)
        assert isinstance(found, Found)
        assert found.head == SLICE[:8192]
        assert archives.state(found.location) == (len(SLICE), zlib.crc32(SLICE))


def test_a_header_without_an_end_is_not_read_to_the_end_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "MAX_HEADER_BYTES", 512 * 1024)
    start = as_bytes(ct_slice())[:400]
    (tmp_path / "a.zip").write_bytes(zip_of({"a.dcm": start + bytes(80 * MIB)}))
    sizes = []
    with Archives() as archives:
        (found,) = walk([tmp_path], archives)
        assert isinstance(found, Found)

        def read(limit: int) -> bytes:
            sizes.append(limit)
            return archives.read(found.location, limit)

        read_from = headers.read_header(found, read)
    assert isinstance(read_from, headers.Rejected)
    assert (read_from.reason, "no pixels within" in read_from.cause) == (LeftOut.UNREADABLE, True)
    assert sizes == [128 * 1024, 512 * 1024]


def test_a_file_that_becomes_shorter_while_it_is_read_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(as_bytes(ct_slice())[:400] + bytes(100_000))
    with Archives() as archives:
        (found,) = walk([path], archives)
        assert isinstance(found, Found)
        path.write_bytes(path.read_bytes()[:9000])
        read_from = headers.read_header(found, lambda limit: archives.read(found.location, limit))
    assert isinstance(read_from, headers.Rejected)
    assert read_from.reason is LeftOut.UNREADABLE


def test_a_compressed_file_that_is_larger_than_any_slice_is_not_unpacked_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chestgan_core.dicom.file_walk.MAX_SLICE_BYTES", 3 * MIB)
    (tmp_path / "volume.nii.gz").write_bytes(gzip.compress(os.urandom(8 * MIB), 1))
    contents, refused = read_all(tmp_path)
    assert contents == {}
    assert [(one.reason, "a slice" in one.cause) for one in refused] == [(LeftOut.UNREADABLE, True)]
