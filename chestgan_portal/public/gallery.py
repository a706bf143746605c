"""The gallery: published sets, their images, film, card and numbers. Open to everybody: all of it is synthetic.

Who sees the images of which set: shown_sets.py. The pictures themselves: set_pictures.py.
"""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from chestgan_core.errors import BadInput
from chestgan_portal.pages.paging import Number, part_of
from chestgan_portal.pages.render import render
from chestgan_portal.public.card import blocks_of
from chestgan_portal.public.presets import FULL, presets_of
from chestgan_portal.public.shown_sets import (
    Index,
    class_title,
    frames_of_run,
    library,
    manifest_sha256,
    open_set,
    row_of,
    sets_being_read,
)
from chestgan_portal.security.visitors import BROWSER, Database, Identified

router = APIRouter(dependencies=BROWSER)
CARDS, IMAGES = 24, 60  # of a page
ZOOMS = (1, 2, 4, 8, 12, 16)
_SIDE = 640  # pixels that an image is enlarged to at first, at most

Word = Annotated[str, Query(max_length=128)]


@router.get("/sets")
def sets(
    request: Request,
    visitor: Identified,
    db: Database,
    name: Annotated[Word, Query(alias="set")] = "",
    image_class: Annotated[Word, Query(alias="class")] = "",
    version: Word = "",
    withdrawn: Annotated[str, Query(max_length=8)] = "",
    page: Number = 1,
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
    paged = part_of(shown, page, CARDS)
    asked = {"set": name, "class": image_class, "version": version, "withdrawn": withdrawn}
    return render(
        request,
        "public/sets.html",
        paged=paged,
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
    page: Number = 1,
) -> Response:
    """Everything about one version."""
    books = library(request)
    found = books.set(name, version)
    status, withdrawal = books.status(name, version), books.withdrawal(name, version)
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
    paged = part_of(rows, page, IMAGES)
    run = None if withdrawal or covered else books.run(found.folder)
    return render(
        request,
        "public/set.html",
        found=found,
        facts=facts,
        withdrawal=withdrawal,
        deprecation=status if status and status.state == "deprecated" else None,
        covered=covered,
        too_many=too_many,
        versions=[one for one in books.entries() if one.name == name],
        classes={one: class_title(one, facts) for one in facts.classes},
        image_class=image_class,
        presets=presets_of(facts.window),
        preset=preset or presets_of(facts.window)[0],
        paged=paged,
        side=min(128, facts.resolution * max(1, 128 // facts.resolution)),
        query={"class": image_class, "window": window if window != FULL else ""},
        frames=frames_of_run(books, run),
        report=books.report(found.folder),
        card=[
            one
            for one in blocks_of(books.card(found.folder))
            if not (one.kind == "heading" and one.level == 1)
        ],
        address=books.store.uri(found.entry.folder),
        files=[(item.key.rsplit("/", 1)[1], item.bytes, item.sha256) for item in found.folder.objects],
        manifest_sha256=manifest_sha256(found),
    )


@router.get("/sets/{name}/{version}/images/{index}")
def zoom(
    request: Request,
    visitor: Identified,
    db: Database,
    name: str,
    version: str,
    index: Index,
    window: Annotated[str, Query(max_length=16)] = FULL,
    scale: Annotated[int, Query(ge=0, le=ZOOMS[-1])] = 0,
    image_class: Annotated[Word, Query(alias="class")] = "",
) -> Response:
    """One image, large. The scripts of the page read values in HU from it; it works without them."""
    books = library(request)
    found = open_set(books, db, visitor, name, version)
    row = row_of(books, found, index)
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
