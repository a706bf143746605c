"""The program that decodes compressed pixels in a process of its own, because native decoders end it now and then.

In: requests on the socket that its first argument names by its file descriptor. Out: an anonymous file with the samples
of each, sent along with the answer, so that the pixels are not copied between processes. It imports nothing of this
project and is started by its path (`decoding.py`): it begins to work after a quarter of a second.

A request is `bytes of codestream, kind, transfer syntax, rows, columns, bits, seconds, memory`, then the codestream.
The answer is a status byte; with the first status the file comes too. It ends when the socket closes, also by the death
of its parent, and a decoder that hangs is ended by an alarm, whether the parent lives or not.
"""

import mmap
import os
import resource
import signal
import socket
import struct
import sys
import tempfile

REQUEST = struct.Struct("<Q8s32sIIIIQ")
READY, DONE, DAMAGED, TOO_LARGE = b"R", b"D", b"X", b"M"
JPEG, JPEG_2000, JP2, RLE = b"jpeg", b"j2k", b"jp2", b"rle"


def serve(connection: socket.socket) -> None:
    """Answer requests until the connection ends."""
    import gdcm
    import openjpeg  # noqa: F401 (before the first request: what is missing here is not the fault of a slice)
    import rle.rle  # noqa: F401

    gdcm.Trace.ErrorOff()
    gdcm.Trace.WarningOff()
    # These reach the whole group of processes, and the parent decides what ends: a slice would seem to be damaged.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.sendall(READY)
    # What decoders print of damaged pixels is counted by the parent, with a reason.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while head := _received(connection, REQUEST.size):
        size, kind, syntax, rows, columns, bits, seconds, memory = REQUEST.unpack(head)
        codestream = _received(connection, size)
        signal.alarm(seconds)
        _limit_memory(memory)
        try:
            name = syntax.rstrip(b"\0").decode()
            samples = samples_of(codestream, kind.rstrip(b"\0"), name, rows, columns, bits)
            status = DONE if len(samples) == rows * columns * _container(bits) else DAMAGED
            file = _file_with(samples) if status == DONE else None
        except MemoryError:
            status, file = TOO_LARGE, None
        except BaseException:  # decoders raise any exception, those in Rust a BaseException
            status, file = DAMAGED, None
        signal.alarm(0)
        if file is None:
            connection.sendall(status)
        else:
            socket.send_fds(connection, [status], [file])
            os.close(file)


def samples_of(codestream: bytes, kind: bytes, syntax: str, rows: int, columns: int, bits: int) -> bytes:
    """The samples of one frame, little endian, in this process. Raises any exception, or ends the process."""
    if kind == RLE:
        return _rle(codestream, rows * columns, bits)
    if kind == JPEG:
        return _jpeg(codestream, syntax, rows, columns, bits)
    return _jpeg_2000(codestream, kind)


def _container(bits: int) -> int:
    return 1 if bits <= 8 else 2 if bits <= 16 else 4


def _received(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or none where the connection has ended."""
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        count = connection.recv_into(view[got:])
        if not count:
            return b""
        got += count
    return bytes(data)


def _limit_memory(more: int) -> None:
    """Of address space, beyond what is in use now. Where the system has no such limit, the alarm remains."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 (pathlib would double the time to start)
            used = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = used + more
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (OSError, ValueError):
        pass


def _file_with(samples: "bytes | bytearray") -> int:
    """An anonymous file with these bytes, which is gone with its last descriptor."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("chestgan-slice")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, len(samples))
    with mmap.mmap(file, len(samples)) as shared:
        shared[:] = samples
    return file


def _jpeg(codestream: bytes, syntax: str, rows: int, columns: int, bits: int) -> bytes:
    """JPEG and JPEG-LS by GDCM, as unsigned samples. pydicom refuses 12-bit JPEG to it, which it decodes."""
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(codestream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    image.SetPhotometricInterpretation(grey)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, 8 * _container(bits), bits, bits - 1, 0))
    # GDCM returns bytes as text; this restores the bytes.
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))


def _jpeg_2000(codestream: bytes, kind: bytes) -> bytes:
    import io

    from openjpeg.utils import _openjpeg  # type: ignore[attr-defined] # the public function parses it twice

    code, samples = _openjpeg.decode(io.BytesIO(codestream), 2 if kind == JP2 else 0, as_array=False)
    if code:
        raise ValueError(code)
    return bytes(samples)


def _rle(codestream: bytes, pixels: int, bits: int) -> bytes:
    from rle.rle import decode_frame  # it is written in Rust

    return bytes(decode_frame(codestream, pixels, bits, "<"))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
