"""Passwords: how they are kept, and which are refused.

In: what a person typed. Out: an argon2id hash (RFC 9106), which says its own parameters.
"""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# The second of the two choices that RFC 9106 (section 4) recommends: 3 passes over 64 MiB in 4 lanes.
HASHER = PasswordHasher(time_cost=3, memory_cost=1 << 16, parallelism=4)


def hashed(password: str) -> str:
    """The hash that is kept."""
    return HASHER.hash(password)


def fits(password_hash: str, password: str) -> bool:
    """Whether this is the password of a hash."""
    try:
        return HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
