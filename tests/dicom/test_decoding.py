"""Decoding in a process that may die: what is damaged costs its slice, never the caller, and nothing stays behind."""

import multiprocessing
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom.encaps import encapsulate

from chestgan_core.dicom import decode_worker, decoding
from chestgan_core.dicom.codestreams import BadCodestream
from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pixels import PixelsLeftOut, stored_pixels
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import NotAvailable
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from tests.dicom.compressed_files import LOSSLESS, compress, file_of, frame, header_of, hu_of
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

WORDS = (chest_hu() + 1024).astype(np.uint16)
KINDS = {"rle": decode_worker.RLE, "jpeg-2000": decode_worker.JPEG_2000}


def decoded(syntax: str = "jpeg-ls", stream: bytes | None = None) -> np.ndarray:
    rows, columns = WORDS.shape
    return decoding.decode(
        frame(WORDS, syntax, 16) if stream is None else stream,
        KINDS.get(syntax, decode_worker.JPEG),
        str(LOSSLESS[syntax]),
        rows,
        columns,
        16,
    )


def worker() -> psutil.Process:
    """The decoding process, which one good slice has started."""
    assert np.array_equal(decoded(), WORDS)
    [found] = [child for child in psutil.Process().children() if _is_worker(child)]
    return found


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any("decode_worker" in word for word in process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_a_frame_comes_back_as_it_was_encoded(syntax):
    assert np.array_equal(decoded(syntax), WORDS)


def test_the_samples_are_in_memory_that_the_process_has_filled_and_are_freed_with_the_array():
    before = [np.asarray(decoded()).copy() for _ in range(3)]
    files = psutil.Process().num_fds()
    held = [decoded() for _ in range(20)]
    assert all(np.array_equal(one, before[0]) for one in held)
    del held
    assert psutil.Process().num_fds() <= files


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_a_process_that_dies_costs_one_slice_and_is_replaced(number):
    first = worker()
    first.send_signal(signal.SIGSTOP)  # so that the request finds it alive
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(decoded)
        time.sleep(0.1)
        first.send_signal(number)
        first.send_signal(signal.SIGCONT)
        with pytest.raises(BadCodestream, match=f"crashed on these pixels .{number.name}"):
            waiting.result()
    assert worker().pid != first.pid
    assert not psutil.pid_exists(first.pid)


def test_a_process_that_the_system_kills_costs_nothing():
    first = worker()
    first.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(decoded)
        time.sleep(0.1)
        first.kill()
        assert np.array_equal(waiting.result(), WORDS)
    second = worker()
    second.kill()  # while nothing is decoded
    _gone(second.pid)
    assert np.array_equal(decoded(), WORDS)


def test_a_decoder_that_hangs_is_ended_and_replaced(monkeypatch):
    first = worker()
    first.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(decoding, "SECONDS", 1)
    monkeypatch.setattr(decoding, "PATIENCE", 0)
    with pytest.raises(BadCodestream, match="more than 1 s"):
        decoded()
    monkeypatch.undo()
    assert worker().pid != first.pid


def test_a_decoder_that_hangs_ends_itself_also_without_its_parent(tmp_path):
    """The alarm is the kernel's: it needs neither the parent nor the interpreter of the child."""
    program = (
        "import signal, sys; sys.argv = ['', '0']\n"
        "from chestgan_core.dicom import decode_worker as d\n"
        "import socket, ctypes\n"
        "ours, theirs = socket.socketpair()\n"
        "import os\n"
        "if os.fork() == 0:\n"
        "    ours.close()\n"
        "    d._rle = lambda *_: ctypes.PyDLL(None).sleep(600)\n"  # holds the interpreter lock, as GDCM does
        "    d.serve(theirs)\n"
        "theirs.close()\n"
        "assert ours.recv(1) == d.READY\n"
        "ours.sendall(d.REQUEST.pack(1, d.RLE, b'x', 1, 1, 8, 1, 2**30) + b'x')\n"
        "pid, status = os.wait()\n"
        "print(os.WTERMSIG(status) == signal.SIGALRM)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert answer.stdout == "True\n", answer.stderr


def test_damaged_pixels_are_told_and_the_process_lives_on():
    first = worker()
    good = frame(WORDS, "jpeg-2000", 16)
    with pytest.raises(BadCodestream, match="damaged"):
        decoded("jpeg-2000", good[:100] + bytes(100))
    assert worker().pid == first.pid


def test_more_memory_than_a_slice_may_take_is_refused(monkeypatch):
    worker()
    monkeypatch.setattr(decoding, "MEMORY", 0)
    monkeypatch.setattr(decoding, "MEMORY_PER_PIXEL", 0)
    big = np.zeros((4096, 4096), np.uint16)
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system has no limit of address space")
    with pytest.raises(BadCodestream, match=r"memory|damaged|MiB|crashed"):
        decoding.decode(frame(big, "rle", 16), decode_worker.RLE, str(LOSSLESS["rle"]), 4096, 4096, 16)
    monkeypatch.undo()
    assert np.array_equal(decoded(), WORDS)


def test_threads_share_one_process_and_get_their_own_pixels():
    images = [np.roll(WORDS, shift) for shift in range(8)]
    streams = [frame(image, "jpeg-ls", 16) for image in images]
    before = worker().pid
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert all(map(np.array_equal, pool.map(lambda one: decoded(stream=one), streams), images))
    assert worker().pid == before


def _decode_in_child(connection) -> None:
    connection.send((np.array_equal(decoded(), WORDS), worker().pid))


@pytest.mark.skipif(sys.platform == "darwin", reason="frameworks of macOS do not survive a fork")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_child_process_decodes_with_a_process_of_its_own(method):
    ours = worker().pid
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_decode_in_child, args=(sender,))
    child.start()
    right, theirs = receiver.recv()
    child.join()
    assert (right, child.exitcode) == (True, 0)
    assert theirs != ours
    assert worker().pid == ours
    _gone(theirs)


def test_a_fork_while_another_thread_decodes_does_not_hang():
    pid = worker().pid
    psutil.Process(pid).send_signal(signal.SIGSTOP)
    holding = threading.Thread(target=decoded)
    holding.start()
    time.sleep(0.1)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_decode_in_child, args=(sender,))
    child.start()
    assert receiver.recv()[0]
    child.join()
    psutil.Process(pid).send_signal(signal.SIGCONT)
    holding.join()


PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.dicom.test_decoding import worker
print(worker().pid, flush=True)
if sys.argv[2] == "wait":
    time.sleep(600)
"""


@pytest.mark.parametrize("way", ["end", "kill"])
def test_the_process_ends_with_its_parent_however_that_ends(way):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROGRAM, str(root), "wait" if way == "kill" else "end"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        pid = int(parent.stdout.readline())
        if way == "kill":
            parent.kill()
        parent.wait(60)
        _gone(pid)
        assert parent.stderr.read() == ""
    assert parent.returncode == (-signal.SIGKILL if way == "kill" else 0)


def _gone(pid: int) -> None:
    end = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_process_that_cannot_start_is_no_fault_of_the_slice(monkeypatch):
    decoding._decoder.end()
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(NotAvailable, match="did not start"):
        decoded()
    monkeypatch.undo()
    assert np.array_equal(decoded(), WORDS)


def reason_of(path: Path) -> tuple[LeftOut, str]:
    """Why the file is left out, at its header or at its pixels."""
    header = header_of(path)
    if not isinstance(header, SliceHeader):
        return header.reason, header.cause
    with Archives() as archives, pytest.raises(PixelsLeftOut) as caught:
        stored_pixels(header, archives)
    return caught.value.reason, caught.value.cause


@pytest.mark.parametrize("syntax", ["jpeg-lossless", "jpeg-lossless-sv1", "jpeg-ls", "jpeg-2000"])
@pytest.mark.parametrize(("rows", "columns"), [(128, 64), (64, 128), (129, 128), (4096, 4096)])
def test_a_codestream_of_another_size_is_never_decoded(tmp_path, monkeypatch, syntax, rows, columns):
    monkeypatch.setattr("chestgan_core.dicom.pixels.decode", None)
    data = compress(ct_slice(Rows=rows, Columns=columns), syntax, frame(WORDS, syntax, 16))
    (tmp_path / "slice").write_bytes(as_bytes(data))
    cause = f"the compressed image has 128 x 128 pixels, the header says {rows} x {columns}"
    assert reason_of(tmp_path / "slice") == (LeftOut.UNREADABLE, cause)


@pytest.mark.parametrize("size", [30000, 2**31 - 1])
def test_the_size_in_a_jpeg_2000_stream_takes_no_memory(tmp_path, size):
    stream = bytearray(frame(WORDS, "jpeg-2000", 16))
    stream[8:16] = size.to_bytes(4, "big") * 2  # Xsiz and Ysiz of its size marker
    (tmp_path / "slice").write_bytes(as_bytes(compress(ct_slice(), "jpeg-2000", bytes(stream))))
    assert reason_of(tmp_path / "slice") == (
        LeftOut.UNREADABLE,
        f"the compressed image has {size} x {size} pixels, the header says 128 x 128",
    )


def test_rle_with_another_number_of_segments_or_segments_outside_is_told(tmp_path):
    stream = bytearray(frame(WORDS, "rle", 16))
    stream[0] = 1
    (tmp_path / "a").write_bytes(as_bytes(compress(ct_slice(), "rle", bytes(stream))))
    assert reason_of(tmp_path / "a") == (LeftOut.UNREADABLE, "1 RLE segments instead of 2")
    stream[0], stream[8:12] = 2, (2**31).to_bytes(4, "little")
    (tmp_path / "b").write_bytes(as_bytes(compress(ct_slice(), "rle", bytes(stream))))
    assert "RLE segments lie outside" in reason_of(tmp_path / "b")[1]


def test_a_file_of_endless_fragments_is_refused(tmp_path):
    data = compress(ct_slice(), "jpeg-ls", b"x")
    data.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0" * 100_000
    (tmp_path / "slice").write_bytes(as_bytes(data))
    assert "fragments" in reason_of(tmp_path / "slice")[1]


def test_fragments_of_one_frame_are_joined_and_a_missing_end_is_tolerated(tmp_path):
    stream = frame(WORDS, "jpeg-ls", 16)
    item = b"\xfe\xff\x00\xe0"
    data = compress(ct_slice(), "jpeg-ls", stream)
    cut = 100
    parts = [b"", stream[:cut], stream[cut:] + b"\0" * (len(stream) % 2)]
    data.PixelData = b"".join(item + len(part).to_bytes(4, "little") + part for part in parts)
    raw = as_bytes(data)
    (tmp_path / "whole").write_bytes(raw)
    (tmp_path / "open").write_bytes(raw.removesuffix(b"\xfe\xff\xdd\xe0\0\0\0\0"))
    assert np.array_equal(hu_of(tmp_path / "whole"), chest_hu())
    assert np.array_equal(hu_of(tmp_path / "open"), chest_hu())


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_a_second_frame_that_no_header_mentions_is_not_dropped_in_silence(tmp_path, syntax, table):
    stream = frame(WORDS, syntax, 16)
    data = compress(ct_slice(), syntax, stream)
    data.PixelData = encapsulate([stream, stream], has_bot=table)
    (tmp_path / "slice").write_bytes(as_bytes(data))
    assert reason_of(tmp_path / "slice") == (
        LeftOut.UNREADABLE,
        "the compressed pixels hold 2 frames, the header says one",
    )


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_no_damaged_codestream_ends_this_process(tmp_path, syntax):
    rng = np.random.default_rng(0)
    raw = file_of(ct_slice(), WORDS, syntax)
    start, causes = raw.rindex(b"\xe0\x7f\x10\x00"), []
    for number in range(30):
        damaged = bytearray(raw)
        for at in rng.integers(start, min(start + 400, len(raw)), 3):
            damaged[at] = rng.integers(256)
        path = tmp_path / str(number)
        path.write_bytes(bytes(damaged))
        header = header_of(path)
        if isinstance(header, SliceHeader):
            with Archives() as archives:
                try:
                    assert stored_pixels(header, archives).shape == (128, 128)
                except PixelsLeftOut as left_out:
                    causes.append(left_out.cause)
    assert all(causes)
    assert np.array_equal(decoded(), WORDS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_core_files_are_not_written_and_signals_to_the_group_are_left_to_the_parent(number):
    process = worker()
    if not hasattr(process, "rlimit"):
        pytest.skip("this system does not show limits of other processes")
    assert process.rlimit(resource.RLIMIT_CORE)[0] == 0
    process.send_signal(number)
    assert worker().pid == process.pid


@pytest.mark.parametrize("stated", [syntax for syntax in LOSSLESS if syntax != "rle"])
@pytest.mark.parametrize("found", [syntax for syntax in LOSSLESS if syntax != "rle"])
def test_a_codestream_is_decoded_as_what_it_is(tmp_path, stated, found):
    (tmp_path / "slice").write_bytes(as_bytes(compress(ct_slice(), stated, frame(WORDS, found, 16))))
    assert np.array_equal(hu_of(tmp_path / "slice"), chest_hu())


@pytest.mark.parametrize("marker", [0xC9, 0xCA, 0xCB, 0xC5])
def test_a_kind_of_jpeg_that_nothing_decodes_is_told(tmp_path, marker):
    stream = bytearray(frame(WORDS, "jpeg-lossless", 16))
    stream[stream.index(b"\xff\xc3") + 1] = marker
    (tmp_path / "slice").write_bytes(as_bytes(compress(ct_slice(), "jpeg-lossless", bytes(stream))))
    assert reason_of(tmp_path / "slice")[0] is LeftOut.UNREADABLE


def test_a_slice_on_which_the_decoder_crashes_is_left_out_and_the_others_are_normalized(
    tmp_path, monkeypatch
):
    script = tmp_path / "worker.py"
    source = Path(decode_worker.__file__).read_text()
    crash = "    if b'CRASH' in codestream:\n        os.abort()\n"
    script.write_text(source.replace("    if kind == RLE:\n", crash + "    if kind == RLE:\n", 1))
    for at in range(6):
        stream = frame(WORDS, "jpeg-ls", 16)
        if at % 3 == 1:
            stream = stream[:-2] + b"CRASH" + stream[-2:]
        data = compress(ct_slice(z=3.0 * at), "jpeg-ls", stream)
        (tmp_path / "delivery").mkdir(exist_ok=True)
        (tmp_path / "delivery" / str(at)).write_bytes(as_bytes(data))
    decoding._decoder.end()
    with monkeypatch.context() as patched:
        patched.setattr(decode_worker, "__file__", str(script))
        done = normalize([tmp_path / "delivery"], NormalizationRecipe(size=32), Pseudonyms())
        decoding._decoder.end()
    assert (done.report.files, done.report.kept) == (6, 4)
    assert done.report.left_out == {LeftOut.UNREADABLE: 2}
    assert "the decoder crashed on these pixels (SIGABRT)" in str(done.report.as_json())
