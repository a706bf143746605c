"""The series of a collection as NBIA lists them (API v4, getSeries).

In: the rows of the API's JSON. Out: SeriesRow without a status. The API leaves fields without a value out, and has no
SOP class, photometric interpretation or kernel: rules on those let every series pass.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chestgan_core.dicom.histology import histology_of
from chestgan_core.errors import SourceRefused
from chestgan_core.sources.series_rows import SeriesRow, single_spaced
from chestgan_core.store.artefacts import content_version

if TYPE_CHECKING:
    from chestgan_core.dicom.pseudonyms import Pseudonyms

DOI_SITES = ("https://doi.org/", "http://doi.org/", "https://dx.doi.org/", "http://dx.doi.org/")


def nbia_series(
    collection: str, listed: Iterable[Mapping[str, Any]], names: "Pseudonyms", doi: str
) -> list[SeriesRow]:
    """listed: answer of getSeries. doi: of the collection, where the API does not say one.

    Raises SourceRefused: a series without a patient or a UID, a count that is no number.
    """
    try:
        return [_row(told, names, doi) for told in listed]
    except (KeyError, ValueError, TypeError) as error:
        cause = f"NBIA lists a series that cannot be understood ({type(error).__name__}: {error})"
        raise SourceRefused(collection, cause, "tell TCIA's help desk, or use the route over IDC") from error


def doi_in(address: str) -> str:
    """The DOI of an address at doi.org, else nothing."""
    return next((address.removeprefix(site) for site in DOI_SITES if address.startswith(site)), "")


def _row(told: Mapping[str, Any], names: "Pseudonyms", doi: str) -> SeriesRow:
    def text(name: str) -> str:
        value = told.get(name)
        return "" if value is None else str(value)

    def number(name: str) -> int:
        return int(told.get(name) or 0)

    patient, uid = str(told["PatientID"]), str(told["SeriesInstanceUID"])
    third_party = text("ThirdPartyAnalysis").upper() == "YES"
    return SeriesRow(
        patient=names.patient(patient),
        key=names.series(uid),
        modality=text("Modality"),
        sop_class="",
        photometric="",
        description=single_spaced(text("SeriesDescription")),
        kernel="",
        manufacturer=text("Manufacturer"),
        images=number("ImageCount"),
        bytes=number("FileSize"),
        histology=histology_of(patient),
        thickness_mm=0.0,
        spacing_mm=0.0,
        licence=text("LicenseName"),
        # Older servers call the first field by the second name.
        doi=doi_in(text("DataDescriptionURI") or text("CollectionURI")) or doi,
        analysis="third-party" if third_party else "",
        # TimeStamp is when the last of its images was submitted.
        revision=content_version(
            text("TimeStamp") or text("DateReleased"), number("ImageCount"), number("FileSize")
        ),
        location=uid,
        files=[],
        status="",
        study_description=single_spaced(text("StudyDesc")),
    )
