"""What happens when an account goes, and what an installation must not lose: its last administrator.

The person's row, logins and links go. Answers to studies stay, under the random name that they have in their study, and
no longer lead to anybody: of the participation, the specialty goes and the years of experience are rounded down to 0,
5, 10 or 20, so that colleagues do not know the reader again; the profession stays for the analysis. Answers that were
committed to the store with a closed study stay as they are there. Usernames in the audit log and of posts stay.
"""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import Account, Participation

_BANDS = (20, 10, 5, 0)  # years from which on


class LastAdministrator(Exception):
    """Nobody could administer the portal afterwards."""


def delete_account(db: Session, account: Account) -> None:
    """The caller commits. Raises LastAdministrator."""
    keep_an_administrator(db, account)
    for participation in db.scalars(select(Participation).where(Participation.account_id == account.id)):
        participation.account_id = None
        participation.specialty = ""
        participation.years = years_band(participation.years)
    db.flush()
    db.delete(account)  # logins and one-time links go with it, in the database


def years_band(years: int | None) -> int | None:
    """0, 5, 10 or 20."""
    return None if years is None else next(band for band in _BANDS if years >= band)


def keep_an_administrator(db: Session, account: Account) -> None:
    """Before an account goes, is closed or changes its role. The caller commits. Raises LastAdministrator.

    Locks all administrators until then: two who remove each other at the same moment come one after the other.
    """
    role = Account.role == "administrator"
    db.execute(
        update(Account).where(role).values(role="administrator").execution_options(synchronize_session=False)
    )
    # Read again: it may have become the last one since.
    db.scalar(select(Account).where(Account.id == account.id).execution_options(populate_existing=True))
    others = select(func.count()).where(role, Account.disabled_at.is_(None), Account.id != account.id)
    if account.is_administrator and not db.scalar(others):
        db.rollback()
        raise LastAdministrator
