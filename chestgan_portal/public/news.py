"""/news: what administrators write, as pages and as an Atom feed (RFC 4287)."""

import re
from datetime import UTC
from typing import Annotated
from xml.sax.saxutils import escape, quoteattr

from fastapi import APIRouter, HTTPException, Path, Request
from sqlalchemy import select
from starlette.responses import Response

from chestgan_portal.database.tables import Post
from chestgan_portal.pages.paging import Number, page_of
from chestgan_portal.pages.render import render
from chestgan_portal.security.visitors import BROWSER, Database

router = APIRouter(prefix="/news", dependencies=BROWSER)
POSTS = 10  # of a page, and of the feed
_LINK = re.compile(r"https?://[^\s<>\"'()]{1,400}")
_CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def paragraphs(text: str) -> list[list[tuple[str, str]]]:
    """A text as paragraphs of (text, address). address: that of a link of http or https, empty for plain text."""
    found = []
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip()):
        pieces: list[tuple[str, str]] = []
        place = 0
        for match in _LINK.finditer(part):
            address = match[0].rstrip(".,;:!?")
            pieces += [(part[place : match.start()], ""), (address, address)]
            place = match.start() + len(address)
        pieces.append((part[place:], ""))
        found.append([piece for piece in pieces if piece[0]])
    return [pieces for pieces in found if pieces]


@router.get("")
def news(request: Request, db: Database, page: Number = 1) -> Response:
    """The newest first."""
    newest = select(Post).order_by(Post.published_at.desc(), Post.id.desc())
    return render(request, "public/news.html", paged=page_of(db, newest, page, POSTS))


@router.get("/feed.xml")
def feed(request: Request, db: Database) -> Response:
    """The newest posts for a feed reader."""
    posts = db.scalars(select(Post).order_by(Post.published_at.desc(), Post.id.desc()).limit(POSTS)).all()
    # Behind a proxy that ends TLS the request says http.
    scheme = "https" if request.app.state.settings.https else request.url.scheme
    root = f"{scheme}://{request.headers['host']}"
    updated = max((post.edited_at or post.published_at for post in posts), default=None)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        "<title>chestgan</title>",
        f"<id>{escape(root)}/news</id>",
        f'<link rel="self" href={quoteattr(f"{root}/news/feed.xml")}/>',
        f"<updated>{f'{updated.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}' if updated else '1970-01-01T00:00:00Z'}</updated>",
    ]
    for post in posts:
        address = f"{root}/news/{post.id}"
        lines += [
            "<entry>",
            f"<title>{_xml(post.title)}</title>",
            f"<id>{escape(address)}</id>",
            f"<link href={quoteattr(address)}/>",
            f"<published>{post.published_at:%Y-%m-%dT%H:%M:%SZ}</published>",
            f"<updated>{post.edited_at or post.published_at:%Y-%m-%dT%H:%M:%SZ}</updated>",
            f"<author><name>{_xml(post.author)}</name></author>",
            f"<summary>{_xml(post.summary)}</summary>",
            "</entry>",
        ]
    return Response("\n".join([*lines, "</feed>", ""]), media_type="application/atom+xml")


@router.get("/{key}")
def post(request: Request, db: Database, key: Annotated[int, Path(ge=0, lt=2**31)]) -> Response:
    """One post."""
    found = db.get(Post, key)
    if found is None:
        raise HTTPException(404)
    return render(request, "public/post.html", post=found, paragraphs=paragraphs(found.text))


def _xml(text: str) -> str:
    """Text for XML 1.0, which has no place for control characters."""
    return escape(_CONTROL.sub("", text))
