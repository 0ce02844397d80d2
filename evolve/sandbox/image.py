"""Build the image for `sandbox: docker` without a registry: copy this machine's Python into a tree and import that.

    python -m evolve.sandbox.image [--tag evolve-python:local] [--package numpy]...

Needs a Docker engine, a glibc Linux and `ldd`; no network. With a registry at hand, the Dockerfile in `sandboxes/python`
does as well. Knows nothing of runs.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib.metadata
import logging
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.errors import EvolveError, SandboxError, SandboxUnavailable
from evolve.sandbox.docker import TAG, connect

if TYPE_CHECKING:
    from docker import DockerClient

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY = Path("usr/local/lib") / f"python{VERSION}"

LEFT_OUT = ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "dist-packages")
"""Parts of the standard library that no candidate needs."""
C_LIBRARIES = ("c", "dl", "m", "pthread", "resolv", "rt", "util", "gcc_s", "stdc++")
"""Wheels link these, stubs included, even where Python itself does not; `ldd` of Python alone would miss some."""

PASSWD = "root:x:0:0::/:/sbin/nologin\nnobody:x:65534:65534::/work:/sbin/nologin\n"

log = logging.getLogger(__name__)


def build(client: DockerClient, tag: str = TAG, packages: Sequence[str] = ("numpy",)) -> str:
    """Build the image, try it, and return its id. Raises SandboxError with what is missing."""
    import docker.errors

    with tempfile.TemporaryDirectory(prefix="evolve-image-") as folder:
        root = Path(folder) / "root"
        fill(root, packages)
        archive = Path(folder) / "root.tar"
        pack(root, archive)
        log.info("importing %d MB as %s", archive.stat().st_size >> 20, tag)
        name, _, label = tag.rpartition(":")
        try:
            before = {image.id for image in client.images.list(name=tag)}
            client.api.import_image_from_file(
                str(archive), name, label, changes=['CMD ["python3"]', "USER 65534:65534"]
            )
            image = client.images.get(tag)
            imports = ", ".join(("ctypes", "json", "sqlite3", "ssl", *packages))
            client.containers.run(tag, ["python3", "-c", f"import {imports}"], network_mode="none", remove=True)
            for outdated in before - {image.id}:
                with contextlib.suppress(docker.errors.APIError):  # still in use
                    client.images.remove(str(outdated))
        except docker.errors.ContainerError as error:
            said = str(error)[-500:]
            raise SandboxError(f"the image {tag} was built but does not work: {said}", hint="report this") from None
        except docker.errors.DockerException as error:
            raise SandboxUnavailable(f"the Docker engine refused the image: {error}", hint="docker info") from None
    return str(image.id)


def fill(root: Path, packages: Sequence[str]) -> None:
    """Lay out a root file system with this Python and the named distributions of its environment."""
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "usr/local/bin", "tmp", "proc", "sys", "dev", "etc", "work"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "work"):
        (root / name).chmod(0o1777)
    (root / "etc/passwd").write_text(PASSWD)
    python = Path(sys.executable).resolve()
    shutil.copy2(python, root / f"usr/local/bin/python{VERSION}")
    for name in ("python3", "python"):
        (root / "usr/local/bin" / name).symlink_to(f"python{VERSION}")
    # `ignore` sees names only, so that `json/test` would go too; nothing is lost by that.
    ignored = shutil.ignore_patterns(*LEFT_OUT, "__pycache__", "*.a", f"config-{VERSION}*")
    shutil.copytree(sysconfig.get_path("stdlib"), root / LIBRARY, ignore=ignored, ignore_dangling_symlinks=True)
    add_packages(root / LIBRARY / "site-packages", packages)
    # The root is read-only in use: without byte code every start would compile all that it imports. Hashes instead of
    # times keep the image the same however often it is built, and nobody can change the sources there.
    compileall.compile_dir(
        root / LIBRARY,
        quiet=2,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=1,
    )
    (root / LIBRARY / "dist-packages").symlink_to("site-packages")  # where Debian's Python looks
    binaries = [python, *(root / LIBRARY).rglob("*.so"), *(root / LIBRARY).rglob("*.so.*")]
    add_libraries(root, binaries)


def add_packages(target: Path, packages: Iterable[str]) -> None:
    for package in packages:
        try:
            distribution = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            raise SandboxError(f"{package} is not installed here", hint=f"pip install {package}") from None
        base = Path(str(distribution.locate_file(""))).resolve()
        for file in distribution.files or ():
            source = Path(str(file.locate()))
            inside = Path(os.path.normpath(source))
            if "__pycache__" in file.parts or not inside.is_relative_to(base) or not source.is_file():
                continue
            goal = target / inside.relative_to(base)
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, goal)


def add_libraries(root: Path, binaries: Sequence[Path]) -> None:
    """Copy every shared library the binaries need to the place it has here."""
    for library in {*needed_libraries(binaries), *c_libraries()}:
        goal = root / library.parent.resolve().relative_to("/") / library.name
        if not library.is_relative_to(root) and not goal.exists():
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, goal)


def needed_libraries(binaries: Sequence[Path]) -> Iterator[Path]:
    listing = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        for word in line.split():
            if word.startswith("/") and not word.endswith(":"):
                yield Path(word)


def c_libraries() -> Iterator[Path]:
    """The C and C++ run-time libraries of the loader's own architecture."""
    ldconfig = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "ldconfig"
    listing = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
    here = Path("/proc/self/maps").read_text()
    folder = next((Path(line.split()[-1]).parent for line in here.splitlines() if "/libc.so" in line), None)
    for line in listing.splitlines():
        name, arrow, path = line.strip().partition(" => ")
        stem = name.split(".so")[0].removeprefix("lib")
        if arrow and stem in C_LIBRARIES and Path(path).parent.resolve() == folder:
            yield Path(path)


def pack(root: Path, archive: Path) -> None:
    """A tar of the tree, owned by root and readable by all, whatever the umask was here."""

    def public(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode |= 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".", filter=public)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evolve.sandbox.image", description=__doc__.splitlines()[0])
    parser.add_argument("--tag", default=TAG, help=f"name of the image (default {TAG})")
    parser.add_argument("--package", action="append", help="installed distribution to include (default numpy)")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with contextlib.closing(connect()) as client:
            image = build(client, options.tag, options.package or ["numpy"])
    except EvolveError as error:
        log.error("%s\n%s", error.message, error.hint)
        return error.exit_code
    log.info("%s is ready: %s", options.tag, image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
