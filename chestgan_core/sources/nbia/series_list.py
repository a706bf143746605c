"""The series of a collection as NBIA lists them (API v4, getSeries).

In: the rows of the API's JSON. Out: SeriesRow without a status. The API omits fields without a value, and has neither
SOP class, photometric interpretation nor kernel: selection rules on those exclude nothing.
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
    collection: str, listed: Iterable[Mapping[str, Any]], pseudonyms: "Pseudonyms", doi: str
) -> list[SeriesRow]:
    """listed: the answer of getSeries. doi: of the collection, for series to which the API gives none.

    Raises SourceRefused: a series without a patient or a UID, a count that is not a number.
    """
    try:
        return [_row(fields, pseudonyms, doi) for fields in listed]
    except (KeyError, ValueError, TypeError) as error:
        cause = f"NBIA lists a series that cannot be read ({type(error).__name__}: {error})"
        raise SourceRefused(collection, cause, "report it to TCIA, or use a dataset of kind idc") from error


def doi_in(address: str) -> str:
    """The DOI in an address at doi.org, "" for any other address."""
    return next((address.removeprefix(site) for site in DOI_SITES if address.startswith(site)), "")


def _row(fields: Mapping[str, Any], pseudonyms: "Pseudonyms", doi: str) -> SeriesRow:
    def text(name: str) -> str:
        value = fields.get(name)
        return "" if value is None else str(value)

    def number(name: str) -> int:
        return int(fields.get(name) or 0)

    patient, uid = str(fields["PatientID"]), str(fields["SeriesInstanceUID"])
    third_party = text("ThirdPartyAnalysis").upper() == "YES"
    return SeriesRow(
        patient=pseudonyms.patient(patient),
        key=pseudonyms.series(uid),
        modality=text("Modality"),
        description=single_spaced(text("SeriesDescription")),
        manufacturer=text("Manufacturer"),
        images=number("ImageCount"),
        bytes=number("FileSize"),
        histology=histology_of(patient),
        licence=text("LicenseName"),
        # The second name is that of older servers for the first field.
        doi=doi_in(text("DataDescriptionURI") or text("CollectionURI")) or doi,
        analysis="third-party" if third_party else "",
        # TimeStamp: when the last of its images was submitted.
        revision=content_version(
            text("TimeStamp") or text("DateReleased"), number("ImageCount"), number("FileSize")
        ),
        location=uid,
        study_description=single_spaced(text("StudyDesc")),
    )
