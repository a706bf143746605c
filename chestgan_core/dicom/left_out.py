"""Why a file or a slice was left out: the one closed list that every report counts by."""

from chestgan_core.reasons import Reason


class LeftOut(Reason):
    """The value is what a report prints; `.meaning` is one line that explains it."""

    NOT_DICOM = "not-dicom", "not a DICOM image or object (licence, table, DICOMDIR, anything without DICM)"
    UNSAFE_NAME = "unsafe-name", "a zip entry whose name is absolute or climbs out with .."
    UNREADABLE = "unreadable", "damaged, cut short, encrypted, or pixel data of the wrong length"
    UNSUPPORTED_COMPRESSION = "unsupported-compression", "no installed decoder reads this transfer syntax"
    NO_PIXEL_DATA = "no-pixel-data", "a CT object without an image"
    NOT_CT = "not-ct", "another modality or object: PET, segmentation, structured report, radiograph"
    SECONDARY_CAPTURE = "secondary-capture", "a screen capture or fused colour image, not measured values"
    MULTI_FRAME = "multi-frame", "enhanced CT: many frames in one object"
    NOT_MONOCHROME2 = "not-monochrome2", "not grey with low values dark"
    LOCALIZER = "localizer", "a scout view that other slices are planned on"
    NO_POSITION = "no-position", "position, orientation or pixel spacing is missing or makes no sense"
    NOT_AXIAL = "not-axial", "a coronal, sagittal or strongly oblique slice"
    NO_RESCALE = "not-hounsfield", "no usable rescale slope and intercept, or a rescale type other than HU"
    DUPLICATE = "duplicate", "same SOP instance as another file, or same position in the series"
    MIXED_ORIENTATION = "mixed-orientation", "lies across the stack that its series mostly consists of"
    NO_LUNG = "no-lung", "too little lung in the body: neck, abdomen, table, air"
    TRIMMED = "trimmed", "at an end of the lungs, left out because the recipe trims"
