"""Deprecate and withdraw versions of published sets, and take a deprecation back.

In: a set, a version, a reason, what to use instead. Out: its status. A deprecated version is still given to everybody,
with a warning; a withdrawn one stays in the store, and nobody is given it any more. Whoever has fetched it keeps it.
"""

from dataclasses import replace

from chestgan_core.errors import BadInput
from chestgan_core.publishing.versions.finding import require_published
from chestgan_core.publishing.versions.status import (
    MAX_REASON,
    SetStatus,
    change_status,
    status_of,
    withdrawal_of,
)
from chestgan_core.store.store import Store


def withdraw_set(store: Store, name: str, version: str, reason: str, replacement: str = "") -> SetStatus:
    """Withdraw one version of a set for good; doing it again corrects the reason and the replacement.

    Args:
        store: Its keys need the right to write below `synthetic/`.
        name: The set, for instance `demo`.
        version: 16 hex digits.
        reason: One line for those who would use it, at most 1,000 characters. It is public.
        replacement: What to use instead: a version of this set, or `SET/VERSION`; empty where there is nothing.

    Returns:
        The status as it is in the store.

    Raises:
        NotInStore: There is no such version, of the set or of the replacement.
        BadInput: The reason is empty or too long, or the replacement is the version itself or withdrawn too.
        StoreError: The store refused, or did not answer. The same call completes what was begun.
    """
    reason = checked_reason(reason)
    require_published(store, name, version)
    instead = _checked_replacement(store, name, version, replacement) if replacement else ""

    def withdrawn(before: SetStatus) -> SetStatus:
        return replace(before, state="withdrawn", reason=reason, replacement=instead)

    return change_status(store, name, version, withdrawn)


def deprecate_set(store: Store, name: str, version: str, reason: str, replacement: str = "") -> SetStatus:
    """Say that one version of a set should not be used for new work. It is still given, with a warning.

    Doing it again corrects the reason and the replacement; `restore_set` takes it back. Arguments and errors are those
    of `withdraw_set`; BadInput also where the version is withdrawn.
    """
    reason = checked_reason(reason)
    require_published(store, name, version)
    instead = _checked_replacement(store, name, version, replacement) if replacement else ""

    def deprecated(before: SetStatus) -> SetStatus:
        if before.state == "withdrawn":
            remedy = "nothing has to be done: nobody is given it any more"
            raise BadInput(f"set {name} {version}", f"is withdrawn ({before.reason})", remedy)
        return replace(before, state="deprecated", reason=reason, replacement=instead)

    return change_status(store, name, version, deprecated)


def restore_set(store: Store, name: str, version: str) -> SetStatus:
    """Take a deprecation back. Of a version that is not deprecated nothing changes.

    Raises NotInStore, StoreError, and BadInput for a withdrawn version: those who had it were told to stop using
    it, and may have deleted what they made of it.
    """
    require_published(store, name, version)

    def restored(before: SetStatus) -> SetStatus:
        if before.state == "withdrawn":
            raise BadInput(
                f"set {name} {version}",
                f"was withdrawn ({before.reason}), which cannot be undone: those who had it were told so",
                "publish the images as another version: with another first seed, or more of them",
            )
        return replace(before, state="published", reason="", replacement="")

    return change_status(store, name, version, restored)


def keep_set(store: Store, name: str, version: str, reason: str) -> SetStatus:
    """Exempt one version from the retention rule: it is cited, for instance. reason: why; empty to end that.

    Raises NotInStore, BadInput (the reason is too long; the version is withdrawn, so its images go), StoreError.
    """
    reason = checked_reason(reason) if reason.strip() else ""
    require_published(store, name, version)

    def kept(before: SetStatus) -> SetStatus:
        if reason and before.state == "withdrawn":
            raise BadInput(
                f"set {name} {version}",
                "is withdrawn, and the retention rule removes images of withdrawn versions",
                "copy the files that must stay elsewhere",
            )
        return replace(before, kept=reason)

    return change_status(store, name, version, kept)


def checked_reason(reason: str) -> str:
    """A reason as one line. Raises BadInput: it is empty or too long."""
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= MAX_REASON:
        raise BadInput("the reason", f"has {len(reason)} characters", f"write 1 to {MAX_REASON}")
    return reason


def _checked_replacement(store: Store, name: str, version: str, replacement: str) -> str:
    """`<set>/<version>` of a published version that is neither withdrawn nor replaced by this one."""
    other, slash, its = replacement.partition("/")
    of, at = (other, its) if slash else (name, replacement)
    require_published(store, of, at)
    if (of, at) == (name, version):
        raise BadInput("the replacement", "is the version itself", "name another version, or none")
    if withdrawal_of(store, of, at):
        raise BadInput("the replacement", "is withdrawn too", "name another version, or none")
    its_status = status_of(store, of, at)
    if its_status and its_status.replacement == f"{name}/{version}":
        raise BadInput(
            "the replacement", "is itself replaced by this version", "name another version, or none"
        )
    return f"{of}/{at}"
