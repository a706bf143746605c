"""/api/sets: the published sets for programs. Described in /openapi.json."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from chestgan_portal.public.shown_sets import library, manifest_sha256

router = APIRouter(prefix="/api", tags=["sets"])


class WithdrawnSet(BaseModel):
    """reason: for people. replacement: `<set>/<version>` to use instead, or empty."""

    reason: str
    replacement: str


class DeprecatedSet(BaseModel):
    """As WithdrawnSet; the version is still given."""

    reason: str
    replacement: str


class PublishedSet(BaseModel):
    """One version. address: s3:// of its folder, which open_set takes. bytes: of all files.

    manifest_sha256: of its manifest, which lists the sha256 of every file. low, high: what grey 0 and grey 255 stand
    for, in `unit` (HU, or grey for images without Hounsfield units). withdrawn: null for a set that may be used;
    deprecated: null for one that may be used for new work.
    """

    name: str
    version: str
    address: str
    images: int
    images_per_class: dict[str, int]
    resolution: int
    low: float
    high: float
    unit: str
    bytes: int
    manifest_sha256: str
    model_sha256: str
    source: str
    licence: str
    published_at: str
    latest: bool
    withdrawn: WithdrawnSet | None
    deprecated: DeprecatedSet | None


class PublishedSets(BaseModel):
    """All of them, the newest first."""

    sets: list[PublishedSet]


@router.get(
    "/sets",
    responses={503: {"description": "The store does not answer.", "content": {"text/html": {}}}},
)
def published_sets(request: Request) -> PublishedSets:
    """Every published version of every set, also withdrawn ones, which say so."""
    books = library(request)
    return PublishedSets(
        sets=[
            PublishedSet(
                name=one.entry.name,
                version=one.entry.version,
                address=books.store.uri(one.entry.folder),
                images=one.folder.images,
                images_per_class=one.folder.facts.images_per_class,
                resolution=one.folder.facts.resolution,
                low=one.folder.facts.window.ends[0],
                high=one.folder.facts.window.ends[1],
                unit=one.folder.facts.window_unit,
                bytes=one.folder.bytes,
                manifest_sha256=manifest_sha256(one),
                model_sha256=one.folder.facts.model_sha256,
                source=one.folder.facts.source_title,
                licence=one.folder.facts.source_licence,
                published_at=f"{one.published_at:%Y-%m-%dT%H:%M:%SZ}",
                latest=one.latest,
                withdrawn=WithdrawnSet(reason=one.entry.withdrawn, replacement=one.entry.replacement)
                if one.entry.withdrawn
                else None,
                deprecated=DeprecatedSet(reason=one.entry.deprecated, replacement=one.entry.replacement)
                if one.entry.deprecated
                else None,
            )
            for one in books.sets(books.entries())
        ]
    )
