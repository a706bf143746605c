"""/admin/messages: what visitors wrote: list, mark as read, delete, reply by the administrator's own mail program."""

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Path, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import ContactMessage, now
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.paging import Number, page_of
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

MAX_QUOTED = 1200  # characters: mail programs take addresses of about 2,000
# One address and nothing else: no second one behind a comma, no header behind a question mark.
_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\\\"?&%]+@[^\s@,;:<>()\[\]\\\"?&%]+")

router = APIRouter(prefix="/admin/messages", dependencies=BROWSER)
Key = Annotated[int, Path(ge=1, le=2**31 - 1)]
Page = Annotated[int, Form(ge=1, le=100_000)]


@router.get("")
def messages(request: Request, administrator: Administrator, db: Database, page: Number = 1) -> Response:
    """The newest first."""
    query = select(ContactMessage).order_by(ContactMessage.at.desc(), ContactMessage.id.desc())
    found = page_of(db, query, page)
    replies = {message.id: reply_address(message) for message in found.rows}
    return render(request, "administration/messages.html", found=found, replies=replies)


@router.post("/{key}/read")
def mark(
    request: Request,
    administrator: Administrator,
    db: Database,
    key: Key,
    read: Annotated[bool, Form()] = True,
    page: Page = 1,
) -> Response:
    """Mark a message as read, or as unread again."""
    message = _message(db, key)
    message.read_at = now() if read else None
    note_deed(db, administrator, "mark message as read" if read else "mark message as unread", str(key))
    db.commit()
    return go_to(request, f"/admin/messages?page={page}", said="saved")


@router.post("/{key}/delete")
def remove(
    request: Request, administrator: Administrator, db: Database, key: Key, page: Page = 1
) -> Response:
    """Delete a message for good. The audit log keeps its number, not what it said."""
    db.delete(_message(db, key))
    note_deed(db, administrator, "delete message", str(key))
    db.commit()
    return go_to(request, f"/admin/messages?page={page}", said="deleted")


def reply_address(message: ContactMessage) -> str:
    """A mailto: address with subject and quoted text; "" where the sender's address is not a single plain one."""
    if not _ADDRESS.fullmatch(message.email):
        return ""
    text = message.text[:MAX_QUOTED] + (" [...]" if len(message.text) > MAX_QUOTED else "")
    quoted = "\r\n".join(f"> {line}" for line in text.splitlines())
    subject = _("Your message to chestgan")
    body = f"\r\n\r\n{message.name.strip()}, {message.at:%Y-%m-%d}:\r\n{quoted}"
    return f"mailto:{quote(message.email, safe='@')}?subject={quote(subject, safe='')}&body={quote(body, safe='')}"


def _message(db: Session, key: int) -> ContactMessage:
    message = db.get(ContactMessage, key)
    if message is None:
        raise HTTPException(404)
    return message
