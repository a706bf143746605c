"""All forms of a set by their name. A new one is a file beside this one and a line here."""

from chestgan_core.errors import UnknownName, nearest
from chestgan_core.publishing.forms import coco, dicom, npz, png, tar_files, voc, yolo
from chestgan_core.publishing.forms.form import Form

FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        *(png.FORM, tar_files.FORM, npz.NPZ, npz.HOUNSFIELD, dicom.FORM),
        *(coco.FORM, voc.FORM, yolo.FORM),
    )
}


def find_form(name: str) -> Form:
    """The form of this name. Raises UnknownName."""
    if name not in FORMS:
        raise UnknownName(name, "is not a form of a set", nearest(name, FORMS))
    return FORMS[name]
