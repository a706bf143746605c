"""Light and dark: as the device says, unless the visitor chose. The page comes in the right one, so nothing flashes."""

from fastapi import Request

COOKIE = "chestgan-theme"
THEMES = ("light", "dark")


def chosen_theme(request: Request) -> str:
    """Of THEMES, or empty: as the device says."""
    theme = request.cookies.get(COOKIE, "")
    return theme if theme in THEMES else ""
