"""What the portal itself tells its administrators; the pipeline's messages come in by machine/notify.py."""

import secrets
from typing import Any

from sqlalchemy.orm import Session

from chestgan_portal.database.tables import Notification, now


def notify_administrators(db: Session, kind: str, content: dict[str, Any]) -> None:
    """Add a notification of the portal's own, in the transaction of what happened; the caller commits.

    kind: study-paused, with content {"study": its name, "because": a sentence, "set", "version": what was withdrawn}.
    """
    db.add(
        Notification(delivery=f"portal-{secrets.token_hex(16)}", kind=kind, at=now(), content=dict(content))
    )
