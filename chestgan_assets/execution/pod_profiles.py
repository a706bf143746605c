"""The resources of a step's pod: profiles from a settings file, adjusted to what the experiment requests.

Input: pod_profiles.yaml beside this module, or the file that $CHESTGAN_POD_PROFILES names. Output: for a step and its
partition, the `dagster-k8s/config` of its Job. `python -m chestgan_assets.execution.pod_profiles` validates the file
and prints the resources of each step.
"""

import logging
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from chestgan_assets.tags import STEP_PARTITION
from chestgan_core.config.experiment import Compute
from chestgan_core.config.yaml_models import Section, read_fields, validated
from chestgan_core.errors import BadInput, nearest
from chestgan_core.local.log_lines import configure_logging

SHIPPED = Path(__file__).with_suffix(".yaml")
VARIABLE = "CHESTGAN_POD_PROFILES"
SCRATCH = "/scratch"

_log = logging.getLogger(__name__)

# A Kubernetes quantity: bytes, or a number with a unit.
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class Toleration(Section):
    """A taint of nodes that the pod tolerates (core/v1 Toleration)."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class Profile(Section):
    """One kind of pod.

    gpus: number of gpu_resource, as request and limit; an experiment may request more than one, and its training then
    divides each batch among them. cpu: requested cores, without a limit, which would only throttle the step. memory:
    request and limit, since a pod above its request may be killed at any time. shared_memory: size of /dev/shm, which
    counts as memory. scratch: space on the node's disk. grace_seconds: from SIGTERM to SIGKILL. image: defaults to that
    of the run. user: uid and gid in the container.
    """

    gpus: Annotated[int, Field(ge=0, le=1)] = 0
    gpu_resource: str = "nvidia.com/gpu"
    cpu: Annotated[float, Field(gt=0)] = 1
    memory: Quantity = "4Gi"
    shared_memory: Quantity | None = None
    scratch: Quantity = "20Gi"
    grace_seconds: Annotated[int, Field(ge=1)] = 60
    image: str | None = None
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    runtime_class: str | None = None
    user: Annotated[int, Field(ge=1)] = 10001

    def with_requests(self, compute: Compute) -> "Profile":
        """The profile with what an experiment requests. GPUs count only for steps whose profile has one."""
        requested: dict[str, Any] = {}
        if compute.gpus is not None and self.gpus:
            requested["gpus"] = compute.gpus
        if compute.cpu is not None:
            requested["cpu"] = compute.cpu
        if compute.memory_gib is not None:
            requested["memory"] = f"{round(compute.memory_gib * 1024)}Mi"
        return self.model_copy(update=requested)


class PodSettings(Section):
    """The settings file.

    steps: asset, or asset.step -> name of its profile; every other step has default_profile. max_concurrent: step pods
    of one run at the same time. ttl_seconds_after_finished: how long finished Jobs are kept.
    """

    service_account: str
    profiles: dict[str, Profile]
    default_profile: str
    steps: Mapping[str, str] = Field(default_factory=dict)
    max_concurrent: Annotated[int, Field(ge=1)] = 4
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] = 86_400

    @model_validator(mode="after")
    def _profiles_exist(self) -> "PodSettings":
        for step, name in {**self.steps, "default_profile": self.default_profile}.items():
            if name not in self.profiles:
                raise ValueError(f"{step}: {name} is not a profile; {nearest(name, self.profiles)}")
        return self

    def profile(self, step_key: str) -> Profile:
        """The profile of a step key: `generator_checkpoint`, or `hyperparameter_study.run_trials[worker_0]`."""
        step = step_key.partition("[")[0]
        name = self.steps.get(step) or self.steps.get(step.partition(".")[0]) or self.default_profile
        return self.profiles[name]


def load_pod_settings() -> PodSettings:
    """The settings of this installation. Raises BadInput: no such file, not YAML, an invalid field (with its line)."""
    path = Path(os.environ.get(VARIABLE) or SHIPPED)
    if not path.is_file():
        raise BadInput(
            VARIABLE, f"{path} is not a file", f"copy {SHIPPED.name} of the package chestgan_assets"
        )
    return validated(PodSettings, read_fields(path, "pod profiles", BadInput), "pod profiles", BadInput)


def require_known_steps(settings: PodSettings, assets: Iterable[str]) -> None:
    """Raises BadInput: the settings name a step that does not exist; its pods would be of another size.

    assets: the names of their steps; that of raw_dicom and slice_tensors is patient_slices.
    """
    known = sorted(assets)
    for step in settings.steps:
        if step.partition(".")[0] not in known:
            raise BadInput(f"pod profiles: {step}", "is not a step of any asset", nearest(step, known))


def pod_config(profile: Profile, settings: PodSettings) -> dict[str, Any]:
    """The profile as `dagster-k8s/config`."""
    amounts: dict[str, str] = {"memory": profile.memory}
    if profile.gpus:
        amounts[profile.gpu_resource] = str(profile.gpus)
    volumes: list[dict[str, Any]] = [{"name": "scratch", "empty_dir": {"size_limit": profile.scratch}}]
    mounts = [{"name": "scratch", "mount_path": SCRATCH}]
    if profile.shared_memory:
        volumes.append(
            {"name": "shared-memory", "empty_dir": {"medium": "Memory", "size_limit": profile.shared_memory}}
        )
        mounts.append({"name": "shared-memory", "mount_path": "/dev/shm"})  # noqa: S108 in the container
    return {
        "container_config": {
            **({"image": profile.image} if profile.image else {}),
            "resources": {"requests": {"cpu": f"{profile.cpu:g}", **amounts}, "limits": amounts},
            "volume_mounts": mounts,
            "env": [
                {"name": "TMPDIR", "value": SCRATCH},
                {"name": "HOME", "value": SCRATCH},
                {"name": "CHESTGAN_HOME", "value": f"{SCRATCH}/chestgan"},
            ],
            # The restricted Pod Security Standard, and a read-only root file system.
            "security_context": {
                "allow_privilege_escalation": False,
                "read_only_root_filesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        },
        "pod_spec_config": {
            "service_account_name": settings.service_account,
            "automount_service_account_token": False,
            "termination_grace_period_seconds": profile.grace_seconds,
            "node_selector": dict(profile.node_selector),
            "tolerations": [toleration.model_dump(exclude_none=True) for toleration in profile.tolerations],
            **({"runtime_class_name": profile.runtime_class} if profile.runtime_class else {}),
            "security_context": {
                "run_as_non_root": True,
                "run_as_user": profile.user,
                "run_as_group": profile.user,
                "fs_group": profile.user,
                "seccomp_profile": {"type": "RuntimeDefault"},
            },
            "volumes": volumes,
        },
        "job_spec_config": {"ttl_seconds_after_finished": settings.ttl_seconds_after_finished},
    }


def step_pod_config(
    settings: PodSettings, step_key: str, partition: str, compute: Compute | None
) -> dict[str, Any]:
    """The `dagster-k8s/config` of a step. compute: what its experiment requests; None: a patient or a dataset requests
    nothing.
    """
    profile = settings.profile(step_key)
    config = pod_config(profile.with_requests(compute or Compute()), settings)
    if partition:
        config["container_config"]["env"].append({"name": STEP_PARTITION, "value": partition})
    return config


def main() -> int:
    """Validate the file and print the resources of each step; returns the exit status."""
    configure_logging()
    try:
        settings = load_pod_settings()
    except BadInput as error:
        _log.error("pod_profiles: %s", error)
        return 2
    for step in (*settings.steps, "every other step"):
        profile = settings.profile(step)
        gpus = f", {profile.gpus} x {profile.gpu_resource}" if profile.gpus else ""
        print(f"{step:40} {profile.cpu:g} cores, {profile.memory}{gpus}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
