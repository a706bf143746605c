"""The stored pixel values of one slice. In: a slice header. Out: (rows, cols) integers as stored, not yet HU.

Uncompressed pixels are read directly; compressed ones go through pydicom's decoders (Pillow, OpenJPEG, RLE, GDCM).
GDCM also decodes 12-bit JPEG, which pydicom does not let it: measured on several encodings of one slice, its result is
within the loss of the compression, so it is called directly here.
"""

from io import BytesIO

import gdcm
import numpy as np
import pydicom
from pydicom.encaps import generate_frames

from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES, READ_ERRORS, Archives
from chestgan_core.dicom.headers import JPEG_12_BIT, SliceHeader, inflated
from chestgan_core.dicom.left_out import LeftOut

# Damaged pixels are counted with a reason. (On 12-bit JPEG the library inside GDCM still prints "Unsupported JPEG data
# precision 12" to standard error, because it tries its 8-bit decoder first.)
gdcm.Trace.ErrorOff()
gdcm.Trace.WarningOff()


class PixelsLeftOut(Exception):
    """The pixels of one slice cannot be read or decoded; carries the reason."""

    def __init__(self, reason: LeftOut, cause: str) -> None:
        self.reason, self.cause = reason, cause
        super().__init__(cause)


def stored_pixels(header: SliceHeader, archives: Archives) -> np.ndarray:
    """(rows, cols) integers, as stored. Raises PixelsLeftOut. The file is read and decoded exactly once."""
    try:
        raw = inflated(archives.read(header.location, MAX_SLICE_BYTES), MAX_SLICE_BYTES)
        if header.offset:
            pixels = np.frombuffer(raw, header.dtype, header.rows * header.columns, header.offset)
            if header.unused:
                # The high bits may hold overlays. Shifting back down extends the sign of a signed value.
                pixels = (pixels << header.unused) >> header.unused
            return pixels.reshape(header.rows, header.columns)
    except READ_ERRORS as error:
        raise PixelsLeftOut(LeftOut.UNREADABLE, "the file is damaged or cut short") from error
    try:
        pixels = _decoded(raw)
    except NotImplementedError as error:
        raise PixelsLeftOut(LeftOut.UNSUPPORTED_COMPRESSION, "no decoder for these pixels") from error
    except Exception as error:  # decoders raise any exception on damaged data
        raise PixelsLeftOut(LeftOut.UNREADABLE, "the compressed pixels are damaged") from error
    if pixels.shape != (header.rows, header.columns) or pixels.dtype.kind not in "iu":
        raise PixelsLeftOut(LeftOut.UNREADABLE, "the size of the compressed image is not that of the header")
    return pixels


def _decoded(raw: bytes) -> np.ndarray:
    dataset = pydicom.dcmread(BytesIO(raw))
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in JPEG_12_BIT and dataset.BitsStored > 8:
        return _jpeg_12_bit(dataset)
    return dataset.pixel_array


def _jpeg_12_bit(dataset: pydicom.Dataset) -> np.ndarray:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    )
    syntax = gdcm.TransferSyntax.GetTSType(str(dataset.file_meta.TransferSyntaxUID))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation
    image.SetPixelFormat(gdcm.PixelFormat(1, dataset.BitsAllocated, bits, bits - 1, signed))
    # GDCM returns bytes as text; this restores the bytes.
    decoded = image.GetBuffer().encode("utf-8", "surrogateescape")
    pixels = np.frombuffer(decoded, "<i2" if signed else "<u2")
    return pixels.reshape(dataset.Rows, dataset.Columns)
