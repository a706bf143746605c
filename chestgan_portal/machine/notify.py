"""/notify: the pipeline's signed messages (chestgan_core/local/webhook.py), kept for the administrators.

In: a POST of the platform's webhook. Out: a row per delivery. The sender is a program: it has no cookie, so there is
nothing that a foreign page could make a browser send; the signature alone says who it is.

    201  taken                    400, 422  no message, or not of a known kind
    200  was there already        401       signature, age or delivery id are wrong
    413  larger than MAX_MESSAGE  503       this installation has no secret, so it accepts none
"""

import logging
import time
from datetime import timedelta

from fastapi import APIRouter, Request
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from chestgan_core.errors import BadInput
from chestgan_core.local.webhook import SECRET, verified
from chestgan_portal.database.tables import Notification, now
from chestgan_portal.machine.messages import SCHEMA, Message, parse_message
from chestgan_portal.security.visitors import Database

MAX_MESSAGE = 64 << 10  # bytes
KEPT = timedelta(days=90)  # a delivery is sent again for a day at most
_HEADERS = ("Timestamp", "Signature", "Delivery")

router = APIRouter()
_log = logging.getLogger(__name__)


@router.post(
    "/notify",
    status_code=201,
    response_class=PlainTextResponse,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": SCHEMA}}},
        "parameters": [
            {"in": "header", "name": f"X-Chestgan-{name}", "required": True, "schema": {"type": "string"}}
            for name in _HEADERS
        ],
    },
    responses={
        200: {"description": "this delivery was there already"},
        401: {"description": "signature, age or delivery id are wrong"},
        413: {"description": "larger than a message may be"},
        422: {"description": "not a message of a known kind"},
        503: {"description": "accepts no messages: no secret is set"},
    },
)
async def notify(request: Request, db: Database) -> Response:
    """Take a message. What is refused is not kept, and the answer repeats nothing of it."""
    secret = request.app.state.settings.webhook_secret
    if not secret:
        return _answer(503, f"this portal accepts no messages; set {SECRET} on both sides")
    body = await request.body()
    if len(body) > MAX_MESSAGE:
        return _answer(413, "the message is too large")
    try:
        plain = verified(secret, request.headers, body, time.time())
    except BadInput as error:
        _log.warning("notify: refused: %s", error.cause)
        return _answer(401, f"{error.cause}; {error.remedy}")
    try:
        message = parse_message(plain)
    except BadInput as error:
        _log.warning("notify: refused: %s", error.cause)
        return _answer(422, f"{error.cause}; {error.remedy}")
    return await run_in_threadpool(_keep, db, message)


def _keep(db: Database, message: Message) -> Response:
    if db.get(Notification, message.id) is None:
        db.add(
            Notification(delivery=message.id, kind=message.kind, at=message.moment, content=message.content)
        )
        try:
            # Sends the new row first, which may be there by now.
            db.execute(delete(Notification).where(Notification.received_at < now() - KEPT))
            db.commit()
            return _answer(201, "taken")
        except IntegrityError:  # the same delivery, at the same moment, on another connection
            db.rollback()
    return _answer(200, "was there already")


def _answer(status: int, text: str) -> Response:
    return PlainTextResponse(f"chestgan: {text}\n", status)
