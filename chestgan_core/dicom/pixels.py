"""The stored pixel values of one slice. In: a slice header. Out: (rows, cols) integers as stored, not yet HU.

Whatever the transfer syntax, pixels become containers first: unsigned words of the bits that are allocated, as an
uncompressed file has them. From there on there is one path (`_values`): unused bits, sign, padding. Compressed pixels
are decoded in another process (`decoding.py`), after the size that they declare was compared with the header.
"""

import numpy as np

from chestgan_core.dicom import codestreams, decode_worker
from chestgan_core.dicom.codestreams import BadCodestream, Declared
from chestgan_core.dicom.decoding import decode
from chestgan_core.dicom.dicom_file import inflated
from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES, READ_ERRORS, Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.hounsfield import MIN_HU, Rescale
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pixel_layout import RLE, PixelLayout

# Of values that a header and a codestream describe differently. Noise in air goes below -1024 HU; metal does not count.
LOWEST_HU, HIGHEST_HU = -1200, 3200
MAX_DOUBTFUL = 0.01  # of the pixels, where nothing but the values speaks against a header
JUDGED_SIDE = 512  # pixels; of larger images every second one decides, or every third


class PixelsLeftOut(Exception):
    """The pixels of one slice cannot be read or decoded; carries the reason."""

    def __init__(self, reason: LeftOut, cause: str) -> None:
        self.reason, self.cause = reason, cause
        super().__init__(cause)


def stored_pixels(header: SliceHeader, archives: Archives) -> np.ndarray:
    """The stored values of one slice, which `to_hounsfield` with the rescale of its header turns into HU.

    Args:
        header: Of the slice. The file is read and decoded exactly once.
        archives: Opens the file.

    Returns:
        (rows, columns) integers: without unused bits, with their sign, and with padding as values that become air.

    Raises:
        PixelsLeftOut: The file is cut short or damaged, or its codestream is not what the header says.
        NotAvailable: The process that decodes does not start on this machine.
    """
    layout = header.layout
    try:
        raw = inflated(archives.read(header.location, MAX_SLICE_BYTES), MAX_SLICE_BYTES)
        if layout.native:
            words = np.frombuffer(raw, layout.dtype, header.rows * header.columns, layout.offset)
            values = _values(words.reshape(header.rows, header.columns), layout, header.rescale)
            return _finished(values, header)
    except READ_ERRORS as error:
        raise PixelsLeftOut(LeftOut.UNREADABLE, "the file is damaged or cut short") from error
    try:
        return _finished(_decoded(memoryview(raw)[layout.offset :], header), header)
    except BadCodestream as error:
        raise PixelsLeftOut(LeftOut.UNREADABLE, str(error)) from error


def _decoded(encapsulated: memoryview, header: SliceHeader) -> np.ndarray:
    """Stored values of compressed pixels. Raises BadCodestream."""
    layout, rows, columns = header.layout, header.rows, header.columns
    frame = codestreams.frame_of(encapsulated, one_fragment=layout.syntax in RLE)
    if layout.syntax in RLE:
        segments = codestreams.declared_segments(frame)
        if segments != layout.allocated // 8:
            raise BadCodestream(f"{segments} RLE segments instead of {layout.allocated // 8}")
        words = decode(frame, decode_worker.RLE, layout.syntax, rows, columns, layout.allocated)
        return _values(words, layout, header.rescale)
    # A stream says what it is, and some files are saved with the transfer syntax of another.
    if codestreams.is_jpeg_2000(frame):
        declared = codestreams.declared_jpeg2000(frame)
        kind = decode_worker.JP2 if codestreams.is_jp2(frame) else decode_worker.JPEG_2000
    else:
        declared, kind = codestreams.declared_jpeg(frame), decode_worker.JPEG
    _require_size(declared, header)
    samples = decode(
        frame, kind, declared.syntax, rows, columns, declared.precision, signed=bool(declared.signed)
    )
    return _of_samples(samples, declared, layout, header.rescale)


def _require_size(declared: Declared, header: SliceHeader) -> None:
    if (declared.rows, declared.columns) != (header.rows, header.columns):
        raise BadCodestream(
            f"the compressed image has {declared.rows} x {declared.columns} pixels, the header says "
            f"{header.rows} x {header.columns}"
        )
    if declared.components != 1:
        raise BadCodestream(f"the compressed image has {declared.components} components instead of one")
    if not 2 <= declared.precision <= (32 if declared.signed is not None else 16):
        raise BadCodestream(f"the compressed image has {declared.precision} bits a pixel")


def _values(words: np.ndarray, layout: PixelLayout, rescale: Rescale) -> np.ndarray:
    """Containers, unsigned, to stored values: without the bits above them (DICOM PS3.5 8.1.1), which may hold anything.

    Where HighBit says that values lie in the upper bits and the lower ones are empty in all pixels, they are there;
    otherwise HighBit is a common mistake. A padding value that needs more bits than the values stays whole: cut to 12
    bits, -2000 in unsigned words would be bone.
    """
    whole = words.view(words.dtype.str.replace("u", "i")) if layout.signed else words
    unused = layout.allocated - layout.stored
    if not unused:
        return whole
    lower = layout.high + 1 - layout.stored
    if lower and not (words & ((1 << lower) - 1)).any() and words.any():
        return (whole << (unused - lower)) >> unused
    # Shifting back down extends the sign of a signed value.
    values = (whole << unused) >> unused if layout.signed else whole & ((1 << layout.stored) - 1)
    if rescale.pads_beyond(layout.stored, layout.signed):
        values = np.where(_is_padding(whole, rescale), whole, values)
    return values


def _of_samples(samples: np.ndarray, declared: Declared, layout: PixelLayout, rescale: Rescale) -> np.ndarray:
    """Samples of a codestream to stored values, by the sign and bits of the header where both agree.

    Where the codestream has another precision, or a sign of its own that is not the header's, one of the two is wrong.
    Then the reading with the fewest values that no CT has is taken, the header's between equal ones.
    """
    readings = _readings(declared, layout)
    if len(readings) == 1:
        above = 8 * samples.itemsize - declared.precision
        whole = samples.view(samples.dtype.str.replace("u", "i")) if layout.signed else samples
        return (whole << above) >> above if layout.signed and above else whole
    step = -(-max(samples.shape) // JUDGED_SIDE)
    few = samples[::step, ::step]
    best = min(
        readings, key=lambda reading: _implausible(_read(few, reading, declared, layout, rescale), rescale)
    )
    return _narrow(_read(samples, best, declared, layout, rescale))


def _read(
    samples: np.ndarray, reading: tuple[int, bool], declared: Declared, layout: PixelLayout, rescale: Rescale
) -> np.ndarray:
    """Stored values, if their bits and sign are those of the reading."""
    stored, sign = reading
    wide: type[np.signedinteger] = np.int32 if max(declared.precision, layout.allocated) <= 16 else np.int64
    bits: np.ndarray = samples.astype(wide) & ((1 << declared.precision) - 1)
    signs_itself = layout.signed if declared.signed is None else declared.signed
    # As the containers of an uncompressed file: the sign reaches up to the highest allocated bit.
    whole = _signed(bits, declared.precision) if signs_itself else bits
    container = _signed(whole, layout.allocated) if layout.signed else whole & ((1 << layout.allocated) - 1)
    low = bits & ((1 << stored) - 1)
    return np.where(_is_padding(container, rescale), container, _signed(low, stored) if sign else low)


def _is_padding(values: np.ndarray, rescale: Rescale) -> np.ndarray:
    padded: np.ndarray = (values >= rescale.padding_from) & (values <= rescale.padding_to)
    return padded


def _implausible(values: np.ndarray, rescale: Rescale) -> int:
    """How many pixels no CT has. Below air one value may be frequent: padding that the header does not declare."""
    hu = (values * rescale.slope + rescale.intercept)[~_is_padding(values, rescale)]
    below = np.unique(hu[hu < LOWEST_HU], return_counts=True)[1]
    return int(np.count_nonzero(hu > HIGHEST_HU) + below.sum() - (below.max() if below.size else 0))


def _readings(declared: Declared, layout: PixelLayout) -> list[tuple[int, bool]]:
    """Bits of a value and whether it is signed: as the header says, then as the codestream does."""
    precision, stored = declared.precision, layout.stored
    readings = [(min(precision, stored), layout.signed)]
    if declared.signed is not None and declared.signed != layout.signed:
        readings.append((min(precision, stored), declared.signed))
    if precision > stored:
        readings += [(precision, sign) for _, sign in readings[:]]
    elif precision < stored and layout.signed and declared.signed is None:
        readings.append((precision, False))  # an encoder that took as few bits as the largest value has
    return readings


def _signed(bits: np.ndarray, width: int) -> np.ndarray:
    """Two's complement of so many bits, in wider integers."""
    top = 1 << (width - 1)
    return ((bits & ((1 << width) - 1)) ^ top) - top


def _narrow(values: np.ndarray) -> np.ndarray:
    """In the narrowest integers that hold them, at least 16 bits, so that what follows costs as uncompressed pixels."""
    low, high = int(values.min()), int(values.max())
    for dtype in (np.int16, np.uint16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values


def _finished(values: np.ndarray, header: SliceHeader) -> np.ndarray:
    return _without_corner_padding(_with_true_sign(values, header.layout, header.rescale), header.rescale)


def _with_true_sign(values: np.ndarray, layout: PixelLayout, rescale: Rescale) -> np.ndarray:
    """Unsigned values of which some have the highest bit: negative ones, if that makes nearly all possible in a CT.

    Headers that say unsigned of signed pixels, and padding of -2000 that is not declared, are common; 60000 HU are not.
    """
    if layout.stored < 16 or values.dtype.kind != "u" or layout.stored != 8 * values.itemsize:
        return values
    if values.max() < 1 << (layout.stored - 1):
        return values
    signed = values.view(values.dtype.str.replace("u", "i"))
    doubtful = _implausible(signed, rescale)
    clear = doubtful <= MAX_DOUBTFUL * values.size and doubtful < _implausible(values, rescale)
    return signed if clear else values


def _without_corner_padding(values: np.ndarray, rescale: Rescale) -> np.ndarray:
    """Padding that has a value of tissue, as one that becomes air: what is connected to a corner of the image."""
    padding = rescale.corner_padding
    corners = [(row, column) for row in (0, -1) for column in (0, -1)]
    if padding is None or not any(values[corner] == padding for corner in corners):
        return values
    from skimage.measure import label

    regions: np.ndarray = label(values == padding, connectivity=1)  # type: ignore[no-untyped-call]
    outside = [regions[corner] for corner in corners if regions[corner]]
    air = round((MIN_HU - rescale.intercept) / rescale.slope)
    limits = np.iinfo(values.dtype)
    fitting = values if limits.min <= air <= limits.max else values.astype(np.int64)
    return _narrow(np.where(np.isin(regions, outside), air, fitting))
