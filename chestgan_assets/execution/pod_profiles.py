"""What the pod of each step gets: profiles of one settings file, and what the experiment asks for.

In: pod_profiles.yaml beside this module, or the file that $CHESTGAN_POD_PROFILES names. Out: for a step and its
partition, what dagster-k8s adds to the Job. `python -m chestgan_assets.execution.pod_profiles` checks the file and
prints what each step gets.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from chestgan_core.config.experiment import Machine
from chestgan_core.config.yaml_models import Section, read_fields, validated
from chestgan_core.errors import BadInput

SHIPPED = Path(__file__).with_suffix(".yaml")
VARIABLE = "CHESTGAN_POD_PROFILES"
SCRATCH = "/scratch"

# As Kubernetes writes amounts of memory: bytes, or with a unit.
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class Toleration(Section):
    """A taint of nodes that the pod does not mind (core/v1 Toleration)."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class Profile(Section):
    """One kind of pod.

    gpus: of gpu_resource, asked for and the limit; more than one is what an experiment asks for, whose training divides
    its batches among them. cpu: cores that are asked for; without a limit, which would only slow a step down. memory:
    asked for and the limit, as what is over it may be killed at any time. shared_memory: /dev/shm, counted as memory.
    scratch: of the node's disk. grace_seconds: from the order to end until the kill. image: by default that of the run.
    user: number of the account in the container, and its group.
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

    def asked_by(self, machine: Machine) -> "Profile":
        """The profile with what an experiment asks for. Its GPUs count only where the step has one at all."""
        told: dict[str, Any] = {}
        if machine.gpus is not None and self.gpus:
            told["gpus"] = machine.gpus
        if machine.cpu is not None:
            told["cpu"] = machine.cpu
        if machine.memory_gib is not None:
            told["memory"] = f"{round(machine.memory_gib * 1024)}Mi"
        return self.model_copy(update=told)


class Steps(Section):
    """The settings file. steps: asset, or asset.step -> name of a profile. at_once: pods of one run at the same time.

    keep_seconds: how long finished Jobs stay.
    """

    service_account: str
    profiles: dict[str, Profile]
    otherwise: str
    steps: Mapping[str, str] = Field(default_factory=dict)
    at_once: Annotated[int, Field(ge=1)] = 4
    keep_seconds: Annotated[int, Field(ge=0)] = 86_400

    @model_validator(mode="after")
    def _names_profiles(self) -> "Steps":
        for step, name in {**self.steps, "otherwise": self.otherwise}.items():
            if name not in self.profiles:
                raise ValueError(
                    f"{step}: there is no profile {name}, choose one of {', '.join(self.profiles)}"
                )
        return self

    def profile(self, step_key: str) -> Profile:
        """That of a step: `generator_checkpoint`, or of several `hyperparameter_study.run_trials[worker_0]`."""
        step = step_key.partition("[")[0]
        name = self.steps.get(step) or self.steps.get(step.partition(".")[0]) or self.otherwise
        return self.profiles[name]


def load_steps() -> Steps:
    """The settings of this installation. Raises BadInput: no such file, not YAML, a wrong field (line)."""
    path = Path(os.environ.get(VARIABLE) or SHIPPED)
    if not path.is_file():
        raise BadInput(VARIABLE, f"{path} is no file", f"copy {SHIPPED.name} of the package chestgan_assets")
    return validated(Steps, read_fields(path, "steps", BadInput), "steps", BadInput)


def pod(profile: Profile, steps: Steps) -> dict[str, Any]:
    """The profile as dagster-k8s/config."""
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
            # What the restricted Pod Security Standard asks for, and a root that nobody can write to.
            "security_context": {
                "allow_privilege_escalation": False,
                "read_only_root_filesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        },
        "pod_spec_config": {
            "service_account_name": steps.service_account,
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
        "job_spec_config": {"ttl_seconds_after_finished": steps.keep_seconds},
    }


def pod_of_step(
    steps: Steps, step_key: str, machines: Mapping[str, Machine], partition: str
) -> dict[str, Any]:
    """What the step's Job gets. machines: what the experiments ask for, by their name, which is the partition."""
    profile = steps.profile(step_key)
    # A patient or a dataset is no experiment, and asks for nothing.
    return pod(profile.asked_by(machines.get(partition, Machine())), steps)


def main() -> int:
    """Check the file; returns the exit status."""
    try:
        steps = load_steps()
    except BadInput as error:
        print(f"steps: {error}", file=sys.stderr)
        return 2
    for step in (*steps.steps, "every other step"):
        told = steps.profile(step)
        gpus = f", {told.gpus} x {told.gpu_resource}" if told.gpus else ""
        print(f"{step:40} {told.cpu:g} cores, {told.memory}{gpus}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
