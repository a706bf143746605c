"""/admin/posts: the news: list, add, edit, delete, and a preview as readers will see it."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Path, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import LINE, TEXT, Post, now
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.paging import Number, page_of
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.public.news import paragraphs
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

SUMMARY = LINE * 2  # characters
_SENT = TEXT * 2  # of a field that is still answered by a form which says what is wrong

router = APIRouter(prefix="/admin/posts", dependencies=BROWSER)
Key = Annotated[int, Path(ge=1, le=2**31 - 1)]
Sent = Annotated[str, Form(max_length=_SENT)]


@dataclass
class Draft:
    """What the form holds. edited: of the post when the form was made. errors: field -> sentence."""

    title: str = ""
    summary: str = ""
    text: str = ""
    edited: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, post: Post) -> "Draft":
        """That of a post as it is."""
        return cls(post.title, post.summary, post.text, _edited(post))

    @classmethod
    def sent(cls, title: str, summary: str, text: str, edited: str = "") -> "Draft":
        """What a browser sent, checked."""
        draft = cls(_line(title), _line(summary), "\n".join(text.splitlines()).strip(), edited)
        for name, value, most in (
            ("title", draft.title, LINE),
            ("summary", draft.summary, SUMMARY),
            ("text", draft.text, TEXT),
        ):
            if not value:
                draft.errors[name] = _("Fill this in.")
            elif len(value) > most:
                draft.errors[name] = _("At most %(most)s characters.") % {"most": most}
        return draft

    def write(self, post: Post) -> None:
        """Into a row."""
        post.title, post.summary, post.text = self.title, self.summary, self.text


@router.get("")
def posts(request: Request, administrator: Administrator, db: Database, page: Number = 1) -> Response:
    """The newest first."""
    query = select(Post).order_by(Post.published_at.desc(), Post.id.desc())
    return render(request, "administration/posts.html", found=page_of(db, query, page))


@router.get("/new")
def new(request: Request, administrator: Administrator) -> Response:
    """An empty form."""
    return _form(request, Draft())


@router.post("/new")
def add(
    request: Request,
    administrator: Administrator,
    db: Database,
    title: Sent = "",
    summary: Sent = "",
    text: Sent = "",
    preview: Annotated[bool, Form()] = False,
) -> Response:
    """Publish, or show what it would look like."""
    draft = Draft.sent(title, summary, text)
    if draft.errors or preview:
        return _form(request, draft, author=administrator.username, preview=preview)
    post = Post(author=administrator.username)
    draft.write(post)
    db.add(post)
    db.flush()
    note_deed(db, administrator, "add post", f"{post.id} {post.title}")
    db.commit()
    return go_to(request, "/admin/posts", said="saved")


@router.get("/{key}")
def edit(request: Request, administrator: Administrator, db: Database, key: Key) -> Response:
    """The form with what the post says now."""
    post = _post(db, key)
    return _form(request, Draft.of(post), post)


@router.post("/{key}")
def save(
    request: Request,
    administrator: Administrator,
    db: Database,
    key: Key,
    title: Sent = "",
    summary: Sent = "",
    text: Sent = "",
    edited: Annotated[str, Form(max_length=64)] = "",
    preview: Annotated[bool, Form()] = False,
) -> Response:
    """Change a post, unless another administrator changed it since this form was opened."""
    post = _post(db, key)
    draft = Draft.sent(title, summary, text, edited)
    if edited != _edited(post):
        draft.errors["text"] = _(
            "Somebody else has changed this post meanwhile. Copy your text and open the post again."
        )
    if draft.errors or preview:
        return _form(request, draft, post, author=post.author, preview=preview)
    draft.write(post)
    post.edited_at = now()
    note_deed(db, administrator, "edit post", f"{post.id} {post.title}")
    db.commit()
    return go_to(request, "/admin/posts", said="saved")


@router.post("/{key}/delete")
def remove(request: Request, administrator: Administrator, db: Database, key: Key) -> Response:
    """Delete a post for good."""
    post = _post(db, key)
    note_deed(db, administrator, "delete post", f"{post.id} {post.title}")
    db.delete(post)
    db.commit()
    return go_to(request, "/admin/posts", said="deleted")


def _form(
    request: Request, draft: Draft, post: Post | None = None, author: str = "", preview: bool = False
) -> Response:
    shown = None
    if preview and not draft.errors:
        published = post.published_at if post else now()
        shown = Post(title=draft.title, summary=draft.summary, text=draft.text, author=author,
                     published_at=published, edited_at=now() if post else None)  # fmt: skip
    return render(
        request,
        "administration/post.html",
        422 if draft.errors else 200,
        draft=draft,
        post=post,
        shown=shown,
        paragraphs=paragraphs(draft.text),
    )


def _post(db: Session, key: int) -> Post:
    post = db.get(Post, key)
    if post is None:
        raise HTTPException(404)
    return post


def _edited(post: Post) -> str:
    return post.edited_at.isoformat() if post.edited_at else "never"


def _line(text: str) -> str:
    return " ".join(text.split())
