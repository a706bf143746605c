"""The sentences after a form was sent. The address holds only their name, so nobody can write others."""

from chestgan_portal.pages.languages import later

SAID = {
    "saved": later("Saved."),
    "deleted": later("Deleted."),
    "registered": later(
        "Thank you. Log in with the name and the password that you chose. If that does not work, there may be an "
        "account with this e-mail already: then ask an administrator for a link to a new password."
    ),
    "logged-out": later("You are logged out."),
    "logins-ended": later("All other logins have ended."),
    "password": later("The new password is set. Log in with it."),
    "password-changed": later("The new password is set. Logins in other browsers have ended."),
    "account-deleted": later("Your account is deleted."),
    "sent": later("Sent. Thank you."),
}
