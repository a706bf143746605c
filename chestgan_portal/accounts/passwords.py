"""Passwords: how they are kept, which are refused, and how many are worked on at a time.

In: what a person typed. Out: an argon2id hash (RFC 9106), which says its own parameters. There is no rule about kinds
of characters, and none about changing a password from time to time: both make worse passwords (NIST SP 800-63B).
"""

import asyncio
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable
from functools import cache
from weakref import WeakKeyDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends, Request

from chestgan_portal.accounts.fields import Unfit
from chestgan_portal.pages.languages import _, ngettext
from chestgan_portal.security.limits import TooMany

# The second of the two choices that RFC 9106 (section 4) recommends: 3 passes over 64 MiB in 4 lanes.
HASHER = PasswordHasher(time_cost=3, memory_cost=1 << 16, parallelism=4)
# A hash keeps four cores busy; 1 to 4 at a time, so at most 256 MiB. On two cores pages of others are served meanwhile.
AT_ONCE = max(1, min(4, (os.cpu_count() or 1) // 4))
MAX_WAITING = 200  # requests; at a fifth of a second each, the last one waits for 40 s
SHORTEST, LONGEST = 12, 128  # characters
_FEWEST = 5  # different characters
# What is left of the commonest passwords of 12 and more characters without digits and signs at both ends.
_WORDS = frozenset(
    """
    password passwordpassword passwort contraseña contrasena clave secret secreto qwerty qwertyuiop qwertz azerty asdfgh
    asdfghjkl zxcvbn zxcvbnm iloveyou iloveyouforever tequiero teamo letmein letmeinplease welcome welcometothe hola
    bienvenido holamundo helloworld admin administrator administrador changeme changethis cambiame hospital hospitals
    radiology radiologia radiología radiologist radiologo radiólogo doctor chestgan portal portalchestgan user usuario
    chestganportal correcthorsebatterystaple passphrase mypassword micontraseña micontrasena unknown test testing
    """.split()  # noqa: SIM905 (a list of words reads better than quotes)
)
_ROWS = tuple(
    line + line[::-1]
    for line in (
        "01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm",
        "qwertzuiopasdfghjklyxcvbnm",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p",
    )
)  # fmt: skip
_ENDS = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def hashed(password: str) -> str:
    """The hash that is kept."""
    return HASHER.hash(_same(password))


def fits(password_hash: str | None, password: str) -> bool:
    """Whether this is the password of a hash. None, of an account that is not there, takes as long and is False."""
    nobody = _of_nobody(HASHER)
    if len(password) > LONGEST:
        return False
    try:
        return HASHER.verify(password_hash or nobody, _same(password)) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether a hash was made with other parameters than those of today."""
    return HASHER.check_needs_rehash(password_hash)


def chosen_password(first: str, second: str, own: Iterable[str]) -> str:
    """A new password that was typed twice. own: what others know of the person. Raises Unfit."""
    password = _same(first)
    if len(password) < SHORTEST:
        text = ngettext(
            "At least %(num)s character, please.", "At least %(num)s characters, please.", SHORTEST
        )
        raise Unfit(text % {"num": SHORTEST})
    if len(first) > LONGEST or len(password) > LONGEST:
        raise Unfit(_("At most %(most)s characters, please.") % {"most": LONGEST})
    if _is_common(password, own):
        raise Unfit(_("This is too easy to guess. Several words that do not belong together are better."))
    if first != second:
        raise Unfit(_("The two passwords are not the same."))
    return first


def _is_common(password: str, own: Iterable[str]) -> bool:
    plain = password.casefold()
    core, names = _ENDS.sub("", plain), {name.casefold() for name in own if name}
    repeated = any(
        plain == (plain[:length] * len(plain))[: len(plain)] for length in range(1, len(plain) // 2 + 1)
    )
    return (
        len(set(plain)) < _FEWEST
        or repeated
        or any(plain in row for row in _ROWS)
        or core in _WORDS
        or plain in names
        or core in names
    )


def _same(password: str) -> str:
    """One form for what looks the same: keyboards write an accent in two ways."""
    return unicodedata.normalize("NFKC", password)


@cache
def _of_nobody(hasher: PasswordHasher) -> str:
    return hasher.hash("the password of nobody")


_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
_waiting = 0


async def one_at_a_time(request: Request) -> AsyncIterator[None]:
    """Around every form that holds a password: AT_ONCE are worked on, the others wait, and hold no thread meanwhile.

    So fifty people who log in at the same moment cost neither memory nor the pages of all others. Must come before
    what takes a connection of the database. Raises TooMany where MAX_WAITING wait already.
    """
    global _waiting
    if request.method != "POST":
        yield
        return
    slots = _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    if _waiting >= MAX_WAITING:
        raise TooMany(10)
    _waiting += 1
    try:
        await slots.acquire()
    finally:
        _waiting -= 1
    try:
        yield
    finally:
        slots.release()


# The first dependency of every router with forms that hold a password.
ONE_AT_A_TIME = Depends(one_at_a_time, scope="function")
