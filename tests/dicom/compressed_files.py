"""CT slices in every transfer syntax that can be encoded here, and the Hounsfield units that are read from them."""

import tempfile
import zlib
from io import BytesIO
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from openjpeg.utils import encode_buffer
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from rle.rle import encode_frame

from chestgan_core.dicom.file_walk import Archives, Found, walk
from chestgan_core.dicom.headers import Rejected, SliceHeader, read_header
from chestgan_core.dicom.hounsfield import to_hounsfield
from chestgan_core.dicom.pixels import stored_pixels

NATIVE = ("explicit", "implicit", "big-endian", "deflated")
LOSSLESS = {
    "rle": uid.RLELossless,
    "jpeg-lossless": uid.JPEGLossless,
    "jpeg-lossless-sv1": uid.JPEGLosslessSV1,
    "jpeg-ls": uid.JPEGLSLossless,
    "jpeg-2000": uid.JPEG2000Lossless,
}
EVERY_SYNTAX = (*NATIVE, *LOSSLESS)


def frame(words: np.ndarray, syntax: str, precision: int, signed: bool = False) -> bytes:
    """Unsigned words as one codestream of so many bits a sample. signed: what a JPEG 2000 codestream says of itself."""
    rows, columns = words.shape
    little = words.astype(words.dtype.newbyteorder("<"))
    if syntax == "rle":
        return bytes(encode_frame(little.tobytes(), rows, columns, 1, 8 * words.itemsize, "<"))
    if syntax == "jpeg-2000":
        if signed:  # it takes the samples with their sign
            top = 1 << (precision - 1)
            little = (((words.astype(np.int64) & (2 * top - 1)) ^ top) - top).astype(f"<i{words.itemsize}")
        return encode_buffer(
            little.tobytes(), columns, rows, 1, precision, signed, photometric_interpretation=2
        )
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(little.tobytes())
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    image.SetPhotometricInterpretation(grey)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    image.SetPixelFormat(gdcm.PixelFormat(1, 8 * words.itemsize, precision, precision - 1, 0))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(LOSSLESS[syntax]))))
    change.SetInput(image)
    image.thisown = False  # from here on it belongs to `change`, and Python would free it once more
    assert change.Change()
    with tempfile.NamedTemporaryFile() as file:
        writer = gdcm.ImageWriter()
        writer.SetImage(change.GetOutput())
        writer.SetFileName(file.name)
        assert writer.Write()
        return next(generate_frames(pydicom.dcmread(file.name).PixelData, number_of_frames=1))


def compress(data: FileDataset, syntax: str, stream: bytes) -> FileDataset:
    """The slice with this codestream as its pixels."""
    data.file_meta.TransferSyntaxUID = LOSSLESS[syntax]
    data.PixelData = encapsulate([stream])
    data["PixelData"].is_undefined_length = True
    data["PixelData"].VR = "OB"
    return data


def file_of(data: FileDataset, words: np.ndarray, syntax: str, precision: int | None = None) -> bytes:
    """The slice as a file with these unsigned words as its pixels. precision: of a codestream; None: BitsStored."""
    if syntax in LOSSLESS:
        stream = frame(words, syntax, precision or data.BitsStored, bool(data.PixelRepresentation))
        return saved(compress(data, syntax, stream), False, True)
    big = syntax == "big-endian"
    data.PixelData = words.astype(words.dtype.newbyteorder(">" if big else "<")).tobytes()
    data["PixelData"].VR = "OW" if words.itemsize > 1 else "OB"
    data.file_meta.TransferSyntaxUID = {
        "implicit": uid.ImplicitVRLittleEndian,
        "big-endian": uid.ExplicitVRBigEndian,
    }.get(syntax, uid.ExplicitVRLittleEndian)
    raw = saved(data, syntax == "implicit", not big)
    return deflated(raw) if syntax == "deflated" else raw


def saved(data: FileDataset, implicit: bool, little: bool) -> bytes:
    """The file in an uncompressed transfer syntax, which its meta information names already."""
    again = Dataset()  # a data set that was never read may be written in any encoding
    again.update(data)
    again.file_meta = data.file_meta
    stream = BytesIO()
    again.save_as(stream, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return stream.getvalue()


def deflated(data: bytes) -> bytes:
    """An explicit little endian file as a deflated one."""
    end = 144 + int.from_bytes(data[140:144], "little")
    name, longer = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    meta = data[:end].replace(b"UI\x14\0" + name, b"UI\x16\0" + longer)
    meta = meta[:140] + (end - 144 + 2).to_bytes(4, "little") + meta[144:]
    press = zlib.compressobj(wbits=-15)
    return meta + press.compress(data[end:]) + press.flush()


def header_of(path: Path) -> SliceHeader | Rejected:
    """The header of the file, or why it is left out."""
    with Archives() as archives:
        (found,) = walk([path], archives)
        assert isinstance(found, Found)
        return read_header(found, lambda limit: archives.read(found.location, limit))


def hu_of(path: Path) -> np.ndarray:
    """The HU of the file."""
    header = header_of(path)
    assert isinstance(header, SliceHeader), header
    with Archives() as archives:
        return to_hounsfield(stored_pixels(header, archives), header.rescale)
