"""The gallery: published sets, their images, film, card and numbers. Open to everybody: all of it is synthetic.

A withdrawn version keeps its page, which says why; its images and files are not given out. Somebody who is reading a
study of a set does not see that set's images here until the study is finished: they would be no judge of them any more.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.imaging.pictures import png_of
from chestgan_core.publishing.manifest import SetFacts
from chestgan_core.store.artefacts import canonical_json, sha256_of
from chestgan_portal.database.tables import Participation, Study
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import render
from chestgan_portal.public.card import blocks_of
from chestgan_portal.public.library import Library, ShownSet
from chestgan_portal.public.presets import FULL, presets_of, through
from chestgan_portal.security.visitors import BROWSER, Database, Identified, Visitor

router = APIRouter(dependencies=BROWSER)
CARDS, IMAGES = 24, 60  # of a page
ZOOMS = (1, 2, 4, 8, 12, 16)
_SIDE = 640  # pixels that an image is enlarged to at first, at most
_KEPT = "private, max-age=600"

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
Word = Annotated[str, Query(max_length=128)]


@dataclass(frozen=True)
class Pages:
    """Of a list. number: from 1. links are made by the template."""

    number: int
    count: int
    total: int

    @classmethod
    def of(cls, total: int, each: int, number: int) -> "Pages":
        """number: as it was asked for; the last page where there are fewer."""
        count = max(1, -(-total // each))
        return cls(min(number, count), count, total)


def library(request: Request) -> Library:
    """What the public pages read from the store."""
    found: Library = request.app.state.library
    return found


def class_title(name: str, facts: SetFacts) -> str:
    """A histology letter with what it stands for; other classes as they are."""
    if facts.window_unit == "HU" and name in HISTOLOGIES:
        return f"{name}: {HISTOLOGIES[name]}"
    return name


@router.get("/sets")
def sets(
    request: Request,
    visitor: Identified,
    db: Database,
    name: Annotated[Word, Query(alias="set")] = "",
    image_class: Annotated[Word, Query(alias="class")] = "",
    version: Word = "",
    withdrawn: Annotated[str, Query(max_length=8)] = "",
    page: PageNumber = 1,
) -> Response:
    """The gallery, filtered."""
    books = library(request)
    listed = books.entries()
    found = books.sets(one for one in listed if (withdrawn or not one.withdrawn) and name in ("", one.name))
    shown = [
        one
        for one in found
        if image_class in ("", *one.folder.facts.classes) and one.entry.version.startswith(version)
    ]
    pages = Pages.of(len(shown), CARDS, page)
    asked = {"set": name, "class": image_class, "version": version, "withdrawn": withdrawn}
    return render(
        request,
        "public/sets.html",
        shown=shown[(pages.number - 1) * CARDS : pages.number * CARDS],
        paged=pages,
        names=sorted({one.name for one in listed}),
        classes={
            one: class_title(one, shelf.folder.facts) for shelf in found for one in shelf.folder.facts.classes
        },
        withdrawn_sets=sum(bool(one.withdrawn) for one in listed),
        listed=len(listed),
        filters=asked,
        query={key: value for key, value in asked.items() if value},
        class_title=class_title,
        covered=sets_being_read(db, visitor),
    )


@router.get("/sets/{name}")
def newest(request: Request, name: str) -> Response:
    """The newest version of a set that is not withdrawn, else the newest one."""
    versions = [one for one in library(request).entries() if one.name == name]
    if not versions:
        raise HTTPException(404)
    good = [one for one in versions if not one.withdrawn] or versions
    latest = library(request).latest(name)
    best = next((one for one in good if one.version == latest), good[-1])
    return RedirectResponse(f"/sets/{best.name}/{best.version}", 303)


@router.get("/sets/{name}/{version}")
def one_set(
    request: Request,
    visitor: Identified,
    db: Database,
    name: str,
    version: str,
    image_class: Annotated[Word, Query(alias="class")] = "",
    window: Annotated[str, Query(max_length=16)] = FULL,
    page: PageNumber = 1,
) -> Response:
    """Everything about one version."""
    books = library(request)
    found = books.set(name, version)
    withdrawal = books.withdrawal(name, version)
    covered = name in sets_being_read(db, visitor)
    facts = found.folder.facts
    preset = next((one for one in presets_of(facts.window) if one.name == window and one.available), None)
    rows: list[Any] = []
    too_many = ""
    if withdrawal is None and not covered:
        try:
            rows = [
                row
                for row in books.images.rows(books.store, found.folder)
                if image_class in ("", row["class"])
            ]
        except BadInput as error:
            too_many = error.cause
    pages = Pages.of(len(rows), IMAGES, page)
    run = None if withdrawal or covered else books.run(found.folder)
    return render(
        request,
        "public/set.html",
        found=found,
        facts=facts,
        withdrawal=withdrawal,
        covered=covered,
        too_many=too_many,
        versions=[one for one in books.entries() if one.name == name],
        classes={one: class_title(one, facts) for one in facts.classes},
        image_class=image_class,
        presets=presets_of(facts.window),
        preset=preset or presets_of(facts.window)[0],
        rows=rows[(pages.number - 1) * IMAGES : pages.number * IMAGES],
        paged=pages,
        side=min(128, facts.resolution * max(1, 128 // facts.resolution)),
        query={"class": image_class, "window": window if window != FULL else ""},
        frames=_frames(books, run),
        report=books.report(found.folder),
        card=[
            one
            for one in blocks_of(books.card(found.folder))
            if not (one.kind == "heading" and one.level == 1)
        ],
        address=books.store.uri(found.entry.folder),
        files=[(item.key.rsplit("/", 1)[1], item.bytes, item.sha256) for item in found.folder.objects],
        manifest_sha256=manifest_sha256(books, found),
    )


@router.get("/sets/{name}/{version}/samples.png")
def samples(request: Request, visitor: Identified, db: Database, name: str, version: str) -> Response:
    """The picture of the first images, as published."""
    books = library(request)
    found = _shown(books, db, visitor, name, version)
    item = next(one for one in found.folder.objects if one.key.endswith("/samples.png"))
    if unchanged := _unchanged(request, item.sha256):
        return unchanged
    return _png(books.samples(found.folder), item.sha256)


@router.get("/sets/{name}/{version}/cover")
def cover(request: Request, visitor: Identified, db: Database, name: str, version: str) -> Response:
    """The same, small: of a set of large images it has some megabytes."""
    books = library(request)
    found = _shown(books, db, visitor, name, version)
    tag = f"{found.entry.version}-cover"
    if unchanged := _unchanged(request, tag):
        return unchanged
    data, kind = books.cover(found.folder)
    return Response(data, media_type=kind, headers={"etag": f'"{tag}"', "cache-control": _KEPT})


@router.get("/sets/{name}/{version}/images/{index:int}.png")
def image(
    request: Request,
    visitor: Identified,
    db: Database,
    name: str,
    version: str,
    index: int,
    window: Annotated[str, Query(max_length=16)] = FULL,
) -> Response:
    """One image: as published, byte for byte, or through the window of a preset."""
    books = library(request)
    found = _shown(books, db, visitor, name, version)
    if window not in [one.name for one in presets_of(found.folder.facts.window) if one.available]:
        raise HTTPException(404)
    row = _row(books, found, index)
    tag = row["sha256"] if window == FULL else f"{row['sha256']}-{window}"
    if unchanged := _unchanged(request, tag):
        return unchanged
    stored = books.images.image(books.store, found.folder, index)
    if window == FULL:
        return _png(stored.png, tag)
    return _png(png_of(Image.fromarray(through(stored.grey, found.folder.facts.window, window))), tag)


@router.get("/sets/{name}/{version}/images/{index:int}")
def zoom(
    request: Request,
    visitor: Identified,
    db: Database,
    name: str,
    version: str,
    index: int,
    window: Annotated[str, Query(max_length=16)] = FULL,
    scale: Annotated[int, Query(ge=0, le=ZOOMS[-1])] = 0,
    image_class: Annotated[Word, Query(alias="class")] = "",
) -> Response:
    """One image, large. The scripts of the page read values in HU from it; it works without them."""
    books = library(request)
    found = _shown(books, db, visitor, name, version)
    row = _row(books, found, index)
    facts = found.folder.facts
    presets = presets_of(facts.window)
    preset = next((one for one in presets if one.name == window and one.available), presets[0])
    rows = books.images.rows(books.store, found.folder)
    fits = max(one for one in ZOOMS if one == 1 or one * facts.resolution <= _SIDE)
    return render(
        request,
        "public/image.html",
        found=found,
        facts=facts,
        row=row,
        class_title=class_title(row["class"], facts),
        previous=next((n for n in range(index - 1, -1, -1) if image_class in ("", rows[n]["class"])), None),
        following=next(
            (n for n in range(index + 1, len(rows)) if image_class in ("", rows[n]["class"])), None
        ),
        presets=presets,
        preset=preset,
        scale=scale or fits,
        scales=[one for one in ZOOMS if one * facts.resolution <= 4_096],
        query={
            "class": image_class,
            "window": preset.name if preset.name != FULL else "",
            "scale": scale or "",
        },
        sheet_page=1 + index // IMAGES,
    )


@router.get("/sets/{name}/{version}/film/{number:int}.png")
def film(
    request: Request, visitor: Identified, db: Database, name: str, version: str, number: int
) -> Response:
    """One frame of the progress film, from 0."""
    books = library(request)
    found = _shown(books, db, visitor, name, version)
    frames = _frames(books, books.run(found.folder))
    if not 0 <= number < len(frames):
        raise HTTPException(404)
    return _png(frames[number], f"{found.entry.model_sha256}-{number}")


def sets_being_read(db: Session, visitor: Visitor) -> set[str]:
    """The sets whose images somebody rates in a study that is not over for them."""
    if visitor.account is None or visitor.account.is_administrator:
        return set()
    designs = db.scalars(
        select(Study.design)
        .join(Participation, Participation.study_id == Study.id)
        .where(
            Participation.account_id == visitor.account.id,
            Participation.finished_at.is_(None),
            Study.state.in_(("open", "paused")),
        )
    )
    return {str(design.get("set_name")) for design in designs}


def manifest_sha256(books: Library, found: ShownSet) -> str:
    """Of the manifest, which lists the sha256 of every file: one number for the whole set."""
    return sha256_of(canonical_json(found.folder.manifest))


def _frames(books: Library, run: Any) -> tuple[bytes, ...]:
    """None of a film that is damaged: the page goes on without it."""
    try:
        return books.film(run) if run else ()
    except (DamagedObject, NotInStore):
        return ()


def _shown(books: Library, db: Session, visitor: Visitor, name: str, version: str) -> ShownSet:
    """A set whose images may be shown to this visitor. Raises NotInStore, HTTPException."""
    found = books.set(name, version)
    if books.withdrawal(name, version):
        raise HTTPException(410, _("This version was withdrawn. Its images are not shown any more."))
    if name in sets_being_read(db, visitor):
        raise HTTPException(
            403, _("You are rating images of this set. They are shown here once you have finished.")
        )
    return found


def _row(books: Library, found: ShownSet, index: int) -> Any:
    try:
        rows = books.images.rows(books.store, found.folder)
    except BadInput as error:
        raise HTTPException(404) from error
    if index >= len(rows):
        raise HTTPException(404)
    return rows[index]


def _unchanged(request: Request, tag: str) -> Response | None:
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": f'"{tag}"', "cache-control": _KEPT})
    return None


def _png(data: bytes, tag: str) -> Response:
    return Response(data, media_type="image/png", headers={"etag": f'"{tag}"', "cache-control": _KEPT})
