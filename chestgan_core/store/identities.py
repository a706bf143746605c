"""Who may do what in a SeaweedFS of one's own: the pipeline everything, the portal what its pages need, those who use
published sets these sets and nothing else.

In: the keys of each in the environment. Out: SeaweedFS's list of users and rights, a file for `weed -s3.config`.

    python -m chestgan_core.store.identities PATH

writes it anew, so that a changed key counts from the next start of the server. For AWS the same rights are in
deploy/aws/portal-policy.json and deploy/aws/consumer-policy.json.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chestgan_core.errors import BadInput
from chestgan_core.local.files import replacing
from chestgan_core.store.keys import CONDITIONAL_WRITES

PIPELINE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PORTAL_KEYS = ("CHESTGAN_PORTAL_ACCESS_KEY_ID", "CHESTGAN_PORTAL_SECRET_ACCESS_KEY")
CONSUMER_KEYS = ("CHESTGAN_CONSUMER_ACCESS_KEY_ID", "CHESTGAN_CONSUMER_SECRET_ACCESS_KEY")
_MIN_SECRET = 16  # characters

# The object on which every writer tries out conditional writes. The star because SeaweedFS wants one.
_TRIED_OUT = f"{CONDITIONAL_WRITES}*"
# What the portal shows, and what readers judge. Of trainings the manifest, the pointer and the film: neither weights
# nor checkpoints. No slice of a patient but those that were chosen for reader studies.
PORTAL_READS = (
    "synthetic/*",
    "reports/*",
    "comparisons/*",
    "leaderboards/*",
    "reports-monthly/*",
    "studies/*",
    "experiments/*/latest.json",
    "experiments/*/manifest.json",
    "experiments/*/progress.gif",
    "experiments/*/progress.png",
    "reading/*",
    _TRIED_OUT,
)
# Names of objects, not what is in them.
PORTAL_LISTS = (
    *("synthetic/*", "reports/*", "comparisons/*", "leaderboards/*", "reports-monthly/*"),
    *("studies/*", "experiments/*", "reading/*"),
)
# And the object above.
PORTAL_WRITES = ("reading/*", _TRIED_OUT)
# Published sets, what is said of them, and the index. Nothing has to be listed: what a fetch asks for is there, or the
# index tells that it is not.
CONSUMER_READS = ("synthetic/*",)


def identities(environment: Mapping[str, str]) -> dict[str, Any]:
    """SeaweedFS's form of the list. Portal and consumers without keys are not in it. Raises BadInput."""
    bucket, _, prefix = (
        environment.get("CHESTGAN_STORE", "s3://chestgan").removeprefix("s3://").partition("/")
    )
    root = "/".join(filter(None, (bucket, prefix.strip("/"))))
    users = [
        _user("chestgan", _keys(environment, PIPELINE_KEYS), ["Admin", "Read", "List", "Tagging", "Write"])
    ]
    if any(environment.get(name) for name in PORTAL_KEYS):
        rights = (("Read", PORTAL_READS), ("List", PORTAL_LISTS), ("Write", PORTAL_WRITES))
        actions = [f"{action}:{root}/{one}" for action, patterns in rights for one in patterns]
        users.append(_user("portal", _keys(environment, PORTAL_KEYS), actions))
    if any(environment.get(name) for name in CONSUMER_KEYS):
        actions = [f"Read:{root}/{one}" for one in CONSUMER_READS]
        users.append(_user("consumer", _keys(environment, CONSUMER_KEYS), actions))
    if len({user["credentials"][0]["accessKey"] for user in users}) < len(users):
        who = "is that of another user, whose rights it would have"
        raise BadInput(f"{PORTAL_KEYS[0]} or {CONSUMER_KEYS[0]}", who, "choose another one")
    return {"identities": users}


def _user(name: str, keys: tuple[str, str], actions: list[str]) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": keys[0], "secretKey": keys[1]}], "actions": actions}


def _keys(environment: Mapping[str, str], names: tuple[str, str]) -> tuple[str, str]:
    for name in names:
        if not environment.get(name):
            raise BadInput(name, "is not set", "set both keys; `openssl rand -hex 24` makes one")
    if len(environment[names[1]]) < _MIN_SECRET:
        raise BadInput(names[1], f"has fewer than {_MIN_SECRET} characters", "set it to a random one")
    return environment[names[0]], environment[names[1]]


if __name__ == "__main__":
    try:
        text = json.dumps(identities(os.environ))
    except BadInput as error:
        sys.exit(f"chestgan: {error}")
    with replacing(Path(sys.argv[1]), durable=False) as part:
        part.touch(mode=0o600)
        part.write_text(text)
