"""The stored pixel values of one slice. In: a slice header. Out: (rows, cols) integers as stored, not yet HU.

Uncompressed pixels are taken from where they lie; compressed ones go through pydicom's decoders (Pillow,
OpenJPEG, RLE, GDCM). GDCM also decodes 12-bit JPEG, which pydicom refuses to ask it for: measured on the
renderings of one slice, what it returns is within the loss of the compression, so it is asked here
directly.
"""

from io import BytesIO

import gdcm
import numpy as np
import pydicom
from pydicom.encaps import generate_frames

from chestgan_core.dicom.file_walk import LARGEST_SLICE_BYTES, READ_ERRORS, Archives
from chestgan_core.dicom.headers import JPEG_12_BIT, SliceHeader, plain
from chestgan_core.dicom.left_out import LeftOut

# Damaged pixels are counted with a reason. (On 12-bit JPEG the library inside GDCM still prints
# "Unsupported JPEG data precision 12" to standard error, when it tries its 8-bit decoder before the right
# one.)
gdcm.Trace.ErrorOff()
gdcm.Trace.WarningOff()


class PixelsLeftOut(Exception):
    """The pixels of one slice cannot be had; carries the reason."""

    def __init__(self, reason: LeftOut, cause: str) -> None:
        self.reason, self.cause = reason, cause
        super().__init__(cause)


def stored_pixels(header: SliceHeader, archives: Archives) -> np.ndarray:
    """(rows, cols) integers, as stored. Raises PixelsLeftOut. The file is read and decoded exactly once."""
    try:
        raw = plain(archives.read(header.source, LARGEST_SLICE_BYTES), LARGEST_SLICE_BYTES)
        if header.offset:
            pixels = np.frombuffer(raw, header.dtype, header.rows * header.columns, header.offset)
            if header.unused:
                # Overlays and scanners' marks may lie there. Shifting back down repeats the sign of a signed value.
                pixels = (pixels << header.unused) >> header.unused
            return pixels.reshape(header.rows, header.columns)
    except READ_ERRORS as error:
        raise PixelsLeftOut(LeftOut.UNREADABLE, "the file is damaged or cut short") from error
    try:
        pixels = _decoded(raw)
    except NotImplementedError as error:
        raise PixelsLeftOut(LeftOut.UNSUPPORTED_COMPRESSION, "no decoder for these pixels") from error
    except Exception as error:  # decoders raise whatever they like on damaged data
        raise PixelsLeftOut(LeftOut.UNREADABLE, "the compressed pixels are damaged") from error
    if pixels.shape != (header.rows, header.columns) or pixels.dtype.kind not in "iu":
        raise PixelsLeftOut(LeftOut.UNREADABLE, "the compressed image has another size than the header says")
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
    # GDCM hands C bytes to Python as text; this gives the bytes back.
    decoded = image.GetBuffer().encode("utf-8", "surrogateescape")
    pixels = np.frombuffer(decoded, "<i2" if signed else "<u2")
    return pixels.reshape(dataset.Rows, dataset.Columns)
