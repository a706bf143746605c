"""/contact: a message to the administrators, who read it on their pages. No mail is sent.

Anybody may write, so there are bounds on each field, on the messages of one address and on those of all, and a field
that people do not see: a program that fills in everything is thanked, and its message thrown away.
"""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from chestgan_portal.database.tables import LINE, ContactMessage
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.addresses import client_address
from chestgan_portal.security.limits import count_attempt
from chestgan_portal.security.visitors import BROWSER, Database

router = APIRouter(prefix="/contact", dependencies=BROWSER)
MAX_TEXT = 5_000  # characters
PER_CLIENT, PER_CLIENT_WITHIN = 5, timedelta(hours=1)
IN_ALL, IN_ALL_WITHIN = 200, timedelta(days=1)
_ADDRESS = re.compile(r"[^@\s<>\"',;:\\]{1,64}@[^@\s<>\"',;:\\]{1,190}\.[A-Za-z0-9-]{2,63}")
# Fields are longer than what is kept, so that too much is answered by the form that was sent, not by a bare refusal.
Sent = Annotated[str, Form(max_length=4 * MAX_TEXT)]


@router.get("")
def contact(request: Request) -> Response:
    """The form."""
    return render(request, "public/contact.html", values={}, errors={})


@router.post("")
def send(
    request: Request,
    db: Database,
    name: Sent = "",
    email: Sent = "",
    text: Sent = "",
    website: Sent = "",
) -> Response:
    """Keep a message. website: the field that people do not see."""
    values = {
        "name": " ".join(name.split()),
        "email": email.strip(),
        "text": "\n".join(text.splitlines()).strip(),
    }
    if errors := _errors(values):
        return render(request, "public/contact.html", 422, values=values, errors=errors)
    count_attempt(db, "contact", client_address(request), PER_CLIENT, PER_CLIENT_WITHIN)
    count_attempt(db, "contact", "all", IN_ALL, IN_ALL_WITHIN)
    if not website:
        db.add(ContactMessage(name=values["name"], email=values["email"], text=values["text"]))
        db.commit()
    return go_to(request, "/contact", said="sent")


def _errors(values: dict[str, str]) -> dict[str, str]:
    errors = {}
    for name, most in (("name", LINE), ("email", LINE), ("text", MAX_TEXT)):
        if not values[name]:
            errors[name] = _("Fill this in.")
        elif len(values[name]) > most:
            errors[name] = _("At most %(most)s characters.") % {"most": most}
    if "email" not in errors and not _ADDRESS.fullmatch(values["email"]):
        errors["email"] = _("This is not an e-mail address.")
    return errors
