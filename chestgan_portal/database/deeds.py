"""The audit log of what administrators do."""

from sqlalchemy.orm import Session

from chestgan_portal.database.tables import LINE, Account, Deed


def note_deed(db: Session, administrator: Account, deed: str, subject: str = "") -> None:
    """Add a line, in the transaction of the deed itself. deed: a verb phrase in English, `close study`."""
    db.add(Deed(administrator=administrator.username, deed=deed, subject=subject[:LINE]))
