"""The pictures of a published set: its images, the picture of the first of them, and the frames of its film.

A browser keeps each for ten minutes, and then asks by its tag whether it is still the same.
"""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from PIL import Image
from starlette.responses import Response

from chestgan_core.imaging.pictures import png_of
from chestgan_portal.public.presets import FULL, presets_of, through
from chestgan_portal.public.shown_sets import Index, frames_of_run, library, open_set, row_of
from chestgan_portal.security.visitors import BROWSER, Database, Identified

router = APIRouter(dependencies=BROWSER)
_KEPT = "private, max-age=600"


@router.get("/sets/{name}/{version}/samples.png")
def samples(request: Request, visitor: Identified, db: Database, name: str, version: str) -> Response:
    """The picture of the first images, as published."""
    books = library(request)
    found = open_set(books, db, visitor, name, version)
    item = next(one for one in found.folder.objects if one.key.endswith("/samples.png"))
    if unchanged := _unchanged(request, item.sha256):
        return unchanged
    return _png(books.samples(found.folder), item.sha256)


@router.get("/sets/{name}/{version}/cover")
def cover(request: Request, visitor: Identified, db: Database, name: str, version: str) -> Response:
    """The same, small: of a set of large images it has some megabytes."""
    books = library(request)
    found = open_set(books, db, visitor, name, version)
    tag = f"{found.entry.version}-cover"
    if unchanged := _unchanged(request, tag):
        return unchanged
    data, kind = books.cover(found.folder)
    return Response(data, media_type=kind, headers={"etag": f'"{tag}"', "cache-control": _KEPT})


@router.get("/sets/{name}/{version}/images/{index}.png")
def image(
    request: Request,
    visitor: Identified,
    db: Database,
    name: str,
    version: str,
    index: Index,
    window: Annotated[str, Query(max_length=16)] = FULL,
) -> Response:
    """One image: as published, byte for byte, or through the window of a preset."""
    books = library(request)
    found = open_set(books, db, visitor, name, version)
    if window not in [one.name for one in presets_of(found.folder.facts.window) if one.available]:
        raise HTTPException(404)
    row = row_of(books, found, index)
    tag = row["sha256"] if window == FULL else f"{row['sha256']}-{window}"
    if unchanged := _unchanged(request, tag):
        return unchanged
    stored = books.images.image(books.store, found.folder, index)
    if window == FULL:
        return _png(stored.png, tag)
    return _png(png_of(Image.fromarray(through(stored.grey, found.folder.facts.window, window))), tag)


@router.get("/sets/{name}/{version}/film/{number}.png")
def film(
    request: Request, visitor: Identified, db: Database, name: str, version: str, number: Index
) -> Response:
    """One frame of the progress film, from 0."""
    books = library(request)
    found = open_set(books, db, visitor, name, version)
    frames = frames_of_run(books, books.run(found.folder))
    if not 0 <= number < len(frames):
        raise HTTPException(404)
    return _png(frames[number], f"{found.entry.model_sha256}-{number}")


def _unchanged(request: Request, tag: str) -> Response | None:
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": f'"{tag}"', "cache-control": _KEPT})
    return None


def _png(data: bytes, tag: str) -> Response:
    return Response(data, media_type="image/png", headers={"etag": f'"{tag}"', "cache-control": _KEPT})
