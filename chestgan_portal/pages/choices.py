"""What a visitor chose for this browser, language or theme: a cookie for a year. Other sites have no use for it."""

from starlette.responses import Response

_YEAR = 365 * 24 * 3600  # seconds


def keep_choice(response: Response, cookie: str, value: str) -> None:
    """Keep a choice; "" forgets it."""
    if value:
        response.set_cookie(cookie, value, max_age=_YEAR, path="/", httponly=True, samesite="lax")
    else:
        response.delete_cookie(cookie, path="/", httponly=True, samesite="lax")
