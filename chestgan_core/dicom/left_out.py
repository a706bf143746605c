"""Why a file or a slice is left out: the one closed list by which every report counts."""

from chestgan_core.reasons import Reason


class LeftOut(Reason):
    """A reason. The value is what reports print; `.meaning` explains it in one line."""

    NOT_DICOM = "not-dicom", "not a DICOM image or object (licence, table, DICOMDIR, anything without DICM)"
    UNSAFE_NAME = "unsafe-name", "a zip entry whose name is absolute, or leads out of the archive by .."
    UNREADABLE = "unreadable", "damaged, cut short, encrypted, or pixel data of the wrong length"
    UNSUPPORTED_COMPRESSION = "unsupported-compression", "no installed decoder reads this transfer syntax"
    NO_PIXEL_DATA = "no-pixel-data", "a CT object without an image"
    NOT_CT = "not-ct", "another modality or object: PET, segmentation, structured report, radiograph"
    SECONDARY_CAPTURE = "secondary-capture", "a screen capture or fused colour image, not measured values"
    MULTI_FRAME = "multi-frame", "enhanced CT: many frames in one object"
    NOT_MONOCHROME2 = "not-monochrome2", "not grey levels in which low values are dark"
    LOCALIZER = "localizer", "a scout view that other slices are planned on"
    NO_POSITION = "no-position", "position, orientation or pixel spacing is missing or invalid"
    NOT_AXIAL = "not-axial", "a coronal, sagittal or strongly oblique slice"
    NO_RESCALE = "not-hounsfield", "no usable rescale slope and intercept, or a rescale type other than HU"
    DUPLICATE = "duplicate", "same SOP instance as another file, or same position in the series"
    MIXED_ORIENTATION = "mixed-orientation", "at an angle to most slices of its series"
    NO_LUNG = "no-lung", "too little lung in the body: neck, abdomen, table, air"
    TRIMMED = "trimmed", "at an end of the lungs, left out because the recipe trims"
