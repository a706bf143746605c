"""The sentences after a form was sent. The address holds only their name, so nobody can write others."""

from chestgan_portal.pages.languages import later

SAID = {
    "saved": later("Saved."),
    "deleted": later("Deleted."),
    "sent": later("Sent. Thank you."),
}
