"""The one recipe of the containers: writes the Dockerfiles and the Apptainer definition that lie beside it.

    stage "build"   the package and all that it needs are installed from wheels into /opt/gpuhomog
    the image       the same base with Python, that folder, a user who is not root, and nothing else

CPU and GPU differ in what is called VARIANTS here, and in nothing else. Base images are pinned here, too.

In   docker/recipe.py            writes all files
     docker/recipe.py --check    writes nothing; exit code 1 and the names of files that are not what it would write
Out  Dockerfile.cpu, Dockerfile.gpu, gpuhomog.def
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import hpccm
from hpccm.primitives import baseimage, comment, copy, environment, label, raw, runscript, shell, user, workdir

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

SOURCE = ("LICENSE", "README.md", "docker", "gpuhomog", "kernels", "pyproject.toml")
"""What the build needs of the repository; docker/ because wheels for a build without an index lie in docker/wheels."""
USER = 10001
"""A number that is nobody's on the usual hosts."""


class Variant(NamedTuple):
    """What differs between the images."""

    base: str  # Debian or Ubuntu with Python 3.11 or newer, or with such a python3 in its packages
    extras: str  # of pyproject.toml
    licences: str  # SPDX, of the package and of what is installed with it


FREE = f"{PROJECT['license']} AND GPL-2.0-or-later"  # pyFFTW's wheel holds FFTW
VARIANTS = {
    "cpu": Variant("debian:trixie-slim", "mpi", FREE),
    "gpu": Variant("nvidia/cuda:13.0.3-base-ubuntu24.04", "mpi,cuda13", f"{FREE} AND LicenseRef-NVIDIA-CUDA-EULA"),
}


def arguments(variant: Variant) -> raw:
    """What can be changed when an image is built: BASE, EXTRAS and WHEELS; for Apptainer once in each stage."""
    return raw(
        docker=f"ARG EXTRAS={variant.extras}\nARG WHEELS=",
        singularity=f"%arguments\n    BASE={variant.base}\n    EXTRAS={variant.extras}\n    WHEELS=",
    )


def base(container: str, stage: str) -> baseimage:
    """The base image, named by a build argument."""
    image = {"docker": "${BASE}", "singularity": "{{ BASE }}"}[container]
    return baseimage(image=image, _as=stage, _distro="ubuntu24", _docker_env=False)


def packages(present: str, *names: str) -> str:
    """Shell: install Debian packages unless the command `present` says that the base has them."""
    return (
        f"{present} || {{ apt-get update && apt-get install -y --no-install-recommends {' '.join(names)} && "
        "rm -rf /var/lib/apt/lists/*; }"
    )


def build(container: str, variant: Variant) -> hpccm.Stage:
    """The stage that installs into /opt/gpuhomog; nothing else of it reaches the image."""
    stage = hpccm.Stage()
    stage += base(container, "build")
    stage += arguments(variant)
    stage += shell(commands=[packages("python3 -c 'import ensurepip' 2> /dev/null", "python3", "python3-venv")])
    stage += copy(files={name: f"/usr/src/gpuhomog/{name}" for name in SOURCE})
    given = ['EXTRAS="{{ EXTRAS }}"', 'WHEELS="{{ WHEELS }}"'] if container == "singularity" else []
    stage += shell(
        commands=[
            *given,
            "cd /usr/src/gpuhomog",
            "python3 -m venv /opt/gpuhomog",
            '/opt/gpuhomog/bin/pip install --no-cache-dir ${WHEELS:+--no-index --find-links="$WHEELS"} '
            '".${EXTRAS:+[$EXTRAS]}"',
        ]
    )
    return stage


def image(container: str, variant: Variant) -> hpccm.Stage:
    """The image itself."""
    quote = '"' if container == "docker" else ""
    stage = hpccm.Stage()
    stage += base(container, "image")
    if container == "singularity":
        stage += arguments(variant)
    stage += label(
        metadata={
            "org.opencontainers.image.title": PROJECT["name"],
            "org.opencontainers.image.description": f"{quote}{PROJECT['description']}{quote}",
            "org.opencontainers.image.version": PROJECT["version"],
            "org.opencontainers.image.licenses": f"{quote}{variant.licences}{quote}",
        }
    )
    stage += shell(
        commands=[
            packages("command -v python3", "python3"),
            f"useradd --no-log-init --uid {USER} --no-create-home --home-dir /home/gpuhomog gpuhomog",
            "install -d -m 1777 /home/gpuhomog /here",
        ]
    )
    stage += copy(_from="build", src="/opt/gpuhomog", dest="/opt/gpuhomog")
    stage += environment(variables={"PATH": "/opt/gpuhomog/bin:$PATH"}, _export=False)
    # Caches lie in HOME, whatever the user's number; under Apptainer HOME is the user's own.
    stage += raw(docker="ENV HOME=/home/gpuhomog")
    stage += workdir(directory="/here")
    stage += user(user=f"{USER}:{USER}")
    stage += runscript(commands=["gpuhomog"])
    return stage


def container_file(container: str, variant: Variant) -> str:
    """Text of one file; `container` is "docker" or "singularity", HPCCM's name for what Apptainer reads."""
    hpccm.config.set_container_format(container)
    hpccm.config.set_singularity_version("3.8")
    head = str(comment("Generated by docker/recipe.py: change that, and run it."))
    if container == "docker":
        head += f"\n\nARG BASE={variant.base}"
    text = "\n\n".join((head, str(build(container, variant)), str(image(container, variant))))
    return re.sub("\n{3,}", "\n\n", text) + "\n"  # what one of the two leaves out leaves gaps


def container_files() -> dict[str, str]:
    """Text of each file by name."""
    return {
        "Dockerfile.cpu": container_file("docker", VARIANTS["cpu"]),
        "Dockerfile.gpu": container_file("docker", VARIANTS["gpu"]),
        "gpuhomog.def": container_file("singularity", VARIANTS["cpu"]),
    }


def main(options: list[str]) -> str | None:
    """Write or check the files; what is wrong, or None."""
    if options not in ([], ["--check"]):
        return "usage: recipe.py [--check]"
    stale = []
    for name, text in container_files().items():
        file = HERE / name
        if options:
            stale += [] if file.is_file() and file.read_text(encoding="utf-8") == text else [name]
        else:
            file.write_text(text, encoding="utf-8")
    return f"docker/: not what recipe.py writes: {', '.join(stale)}. Run it and commit." if stale else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
