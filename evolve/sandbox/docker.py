"""Level `docker`: one hardened container for every sandbox.

Non-root, read-only root, no network, no capabilities, memory, processes, cores, files and output bounded by the engine.
The supervisor is the container's pid 1 and is spoken to over the attached stdin: when the controller dies, however it
dies, the engine closes that stdin, the supervisor ends, and the engine removes the container. Files travel the same way,
since the engine cannot copy into a tmpfs. As at every level, a hole in the kernel is a way out.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from evolve.errors import ImageMissing, SandboxError, SandboxUnavailable
from evolve.plugins import BuildContext
from evolve.sandbox.base import ExitStatus, Level, LimitsConfig, SandboxProvider
from evolve.sandbox.owner import Owner, this_process
from evolve.sandbox.supervised import SupervisedProvider, environment, supervisor_argv

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.api import APIClient

TAG = "evolve-python:local"
"""The image that `sandboxes/python` describes and `python -m evolve.sandbox.image` builds."""
OWNER_LABEL = "evolve.owner"
WORKDIR = "/work"
USER = "65534:65534"
INODES = 16384
SHARED_MEMORY_MB = 16
OVERHEAD_MB = 16
"""Memory of the supervisor, which lives in the same control group; the program still has all it was promised."""
ENGINE_TIMEOUT_S = 60
"""Longest wait for one answer of the engine."""
NEWS_S = 3
"""How long the engine may take to say why a container died."""

PROBE = """
import os
with open("/proc/net/dev") as file:
    networks = [line.split(":")[0].strip() for line in file if ":" in line]
print(os.getppid(), networks, os.listdir("/work"), os.access("/", os.W_OK), os.getuid())
"""
EXPECTED = "1 ['lo'] [] False 65534"


class Config(LimitsConfig):
    """Run candidates in Docker containers."""

    kind: Literal["docker"] = "docker"
    image: str = TAG
    """Image with a `python3` 3.11 or newer on its path; `python -m evolve.sandbox.image` builds the default one from this machine's Python, without a registry."""
    network: Literal["none"] = "none"
    """Candidates have no network."""

    def build(self, context: BuildContext) -> SandboxProvider:  # noqa: ARG002
        return SupervisedProvider(DockerLauncher(self))


def connect() -> DockerClient:
    """A client for the engine that DOCKER_HOST or the default socket names. Raises SandboxUnavailable."""
    import docker
    import docker.errors

    try:
        client = docker.from_env(timeout=ENGINE_TIMEOUT_S)  # asks the engine for its version
    except docker.errors.DockerException as error:
        raise unavailable(error) from None
    return client


def unavailable(error: Exception) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"the Docker engine does not answer as it should: {error}",
        hint="is dockerd running, and may this user use it? `docker info` says; DOCKER_HOST names another engine",
    )


class ContainerCell:
    """A container whose pid 1 is a supervisor."""

    multiplexed = True

    def __init__(self, api: APIClient, container_id: str) -> None:
        """Attach to a container that is not yet started, lest its first words be lost, and start it."""
        self._api = api
        self._id = container_id
        self._since = time.time() - 1
        self._attached = api.attach_socket(container_id, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        self.sock: socket.socket = getattr(self._attached, "_sock", self._attached)
        try:
            api.start(container_id)
        except BaseException:
            self.release()
            raise

    def destroy(self, *, patience_s: float) -> None:  # noqa: ARG002
        # Removed first: the engine would also remove it once its stdin is gone, but we could not tell when.
        remove(self._api, self._id)
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        self._attached.close()
        self.sock.close()

    def fall(self, stderr: str) -> ExitStatus | SandboxError:
        if self._ran_out_of_memory():
            return "out_of_memory"
        said = f": {stderr.strip()[-500:]}" if stderr else ""
        return SandboxUnavailable(f"a container ended early{said}", hint="was the engine restarted? `docker info` says")

    def _ran_out_of_memory(self) -> bool:
        """Nothing inside can kill pid 1 but the kernel, for want of memory. The engine remembers why a container died."""
        import docker.errors

        deadline = time.monotonic() + NEWS_S
        filters = {"container": self._id, "event": ["oom", "die"]}
        while time.monotonic() < deadline:
            span = {"since": f"{self._since:.3f}", "until": f"{time.time():.3f}"}
            try:
                events = self._api.events(**span, filters=filters, decode=True)  # type: ignore[call-overload]
                seen = {event["Action"] for event in events}
            except (docker.errors.DockerException, OSError):
                return False
            if "die" in seen:
                return "oom" in seen
            time.sleep(0.05)
        return False


def remove(api: APIClient, container_id: str) -> bool:
    """Kill and remove a container and see it gone, as far as the engine answers; whether it was still there."""
    import docker.errors

    try:
        api.remove_container(container_id, force=True, v=True)
    except docker.errors.NotFound:
        return False
    except (docker.errors.DockerException, OSError):
        # Most often its removal was under way already. If the engine is gone, the container ends with its stdin.
        with contextlib.suppress(docker.errors.DockerException, OSError):
            api.wait(container_id, timeout=NEWS_S, condition="removed")
    return True


class DockerLauncher:
    """Starts supervisors as pid 1 of a container each."""

    level: Level = "docker"
    python: tuple[str, ...] = ("python3",)
    compiled = False
    probe = PROBE
    expected = EXPECTED

    def __init__(self, config: Config) -> None:
        self._config = config
        self._connecting = threading.Lock()
        self._client: DockerClient | None = None

    def check(self) -> None:
        import docker.errors

        image = self._config.image
        try:
            self._api().inspect_image(image)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            raise ImageMissing(f"there is no image {image}", hint=build_hint(image)) from None
        except (docker.errors.DockerException, OSError) as error:
            raise unavailable(error) from None

    def launch(self) -> ContainerCell:
        import docker.errors

        api = self._api()
        container_id = ""
        try:
            container_id = api.create_container(**self._container(api))["Id"]
            return ContainerCell(api, container_id)
        except docker.errors.ImageNotFound:
            raise ImageMissing(f"there is no image {self._config.image}", hint=build_hint(self._config.image)) from None
        except (docker.errors.DockerException, OSError) as error:
            if container_id:
                remove(api, container_id)
            raise unavailable(error) from None

    def describe(self) -> str:
        return f"docker: {self._config.image}, no network, no host files, all limits by control groups"

    def sweep(self) -> int:
        """Remove the containers of dead owners, and those that have ended, whoever's they were."""
        import docker.errors

        try:
            api = self._api()
            found = api.containers(all=True, filters={"label": OWNER_LABEL})
        except (docker.errors.DockerException, OSError) as error:
            raise unavailable(error) from None
        left = [one["Id"] for one in found if is_left_over(one["Labels"][OWNER_LABEL], one["State"])]
        return sum(remove(api, container_id) for container_id in left)

    def close(self) -> None:
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _api(self) -> APIClient:
        with self._connecting:
            if self._client is None:
                self._client = connect()
            return self._client.api

    def _container(self, api: APIClient) -> dict[str, Any]:
        from docker.types import LogConfig, Ulimit

        config = self._config
        memory = (config.memory_mb + OVERHEAD_MB) << 20
        folder = f"rw,exec,nosuid,nodev,size={config.disk_mb}m,nr_inodes={INODES},mode=1777"
        host = api.create_host_config(
            auto_remove=True,
            network_mode=config.network,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=memory,
            memswap_limit=memory,
            nano_cpus=round(config.cpus * 1e9),
            pids_limit=config.processes + 1,
            ulimits=[Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=512, hard=512)],
            log_config=LogConfig(type="none"),  # printed text would otherwise fill the engine's disk
            # With a working directory set, runc 1.1 makes that folder first, and the tmpfs takes over its mode.
            tmpfs={WORKDIR: folder, "/tmp": folder},
            shm_size=SHARED_MEMORY_MB << 20,
        )
        return {
            "image": config.image,
            "entrypoint": [],
            "command": supervisor_argv(self.python, config, watched=False, compiled=self.compiled),
            # The image knows best where its programs are.
            "environment": {name: value for name, value in environment(WORKDIR, "").items() if value},
            "user": USER,
            "hostname": "sandbox",
            "stdin_open": True,
            "labels": {OWNER_LABEL: str(this_process())},
            "host_config": host,
        }


def build_hint(image: str) -> str:
    if image == TAG:
        return (
            "build it: python -m evolve.sandbox.image (no registry needed), or docker build -t "
            + TAG
            + " sandboxes/python"
        )
    return f"docker pull {image}, or build it"


def is_left_over(owner_label: str, state: str) -> bool:
    """Whether a labelled container may be removed. Owners elsewhere are not ours to judge, but what has ended has."""
    owner = Owner.parse(owner_label)
    return state in ("exited", "dead") or (owner is not None and owner.dead)
