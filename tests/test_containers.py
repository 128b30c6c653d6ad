"""Container files: what the recipe writes, and how the images differ. .ci/image builds one and runs it."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

import gpuhomog

DOCKER = Path(__file__).parents[1] / "docker"
NAMES = ("Dockerfile.cpu", "Dockerfile.gpu", "gpuhomog.def")


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The recipe, as if it lay in a folder of its own with copies of the committed files."""
    spec = importlib.util.spec_from_file_location("recipe", DOCKER / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    for name in NAMES:
        (tmp_path / name).write_bytes((DOCKER / name).read_bytes())
    return module


def instructions(name):
    """Lines of a Dockerfile as it stands, continued ones joined."""
    return re.sub(r" \\\n\s*", "\n", (DOCKER / name).read_text()).splitlines()


def test_the_committed_files_are_what_the_recipe_writes(recipe):
    assert recipe.main(["--check"]) is None


@pytest.mark.parametrize("name", NAMES)
def test_an_edited_or_missing_file_is_named_and_written_again(recipe, tmp_path, name):
    committed = (DOCKER / name).read_bytes()
    for spoil in (lambda file: file.write_bytes(committed + b"\n"), Path.unlink):
        spoil(tmp_path / name)
        refusal = recipe.main(["--check"])
        assert name in refusal
        assert not any(other in refusal for other in NAMES if other != name)
        assert recipe.main([]) is None
        assert (tmp_path / name).read_bytes() == committed


def test_unknown_options_are_refused(recipe):
    assert recipe.main(["--chekc"]).startswith("usage")


def test_the_images_differ_in_base_extras_and_licence_only():
    cpu, gpu = instructions("Dockerfile.cpu"), instructions("Dockerfile.gpu")
    assert len(cpu) == len(gpu)
    differing = {re.match(r"ARG \w+|[\w.]*", a).group(): (a, b) for a, b in zip(cpu, gpu, strict=True) if a != b}
    assert list(differing) == ["ARG BASE", "ARG EXTRAS", "org.opencontainers.image.licenses"]
    assert differing["ARG EXTRAS"] == ("ARG EXTRAS=mpi", "ARG EXTRAS=mpi,cuda13")
    assert re.fullmatch(r"ARG BASE=nvidia/cuda:13\.\d\.\d-base-ubuntu\d\d\.04", differing["ARG BASE"][1])


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.gpu"])
def test_the_image_is_labelled_and_runs_the_command_as_nobody_special(name):
    text = (DOCKER / name).read_text()
    assert f"org.opencontainers.image.version={gpuhomog.__version__}\n" in text
    assert 'licenses="BSD-3-Clause AND GPL-2.0-or-later' in text  # FFTW in pyFFTW's wheel
    last = text[text.index("FROM ${BASE} AS image") :].splitlines()
    assert int(re.search(r"^USER (\d+):\1$", "\n".join(last), re.M).group(1)) >= 1000
    assert json.loads(last[-1].removeprefix("ENTRYPOINT ")) == ["gpuhomog"]


def test_the_apptainer_definition_does_what_the_dockerfile_does():
    """Each shell command and copy stands in both; arguments are given in each stage, as Apptainer reads them there."""
    definition = (DOCKER / "gpuhomog.def").read_text()
    blocks = re.findall(r"^RUN ((?:.*\\\n)*.*)$", (DOCKER / "Dockerfile.cpu").read_text(), re.M)
    commands = [command for block in blocks for command in block.split(" && \\\n    ")]
    copies = [line.split()[-2:] for line in instructions("Dockerfile.cpu") if line.startswith("COPY ")]
    assert len(commands) >= 6 and len(copies) >= 7
    for wanted in [*commands, *(" ".join(pair) for pair in copies)]:
        assert f"    {wanted}\n" in definition
    stages = definition.split("BootStrap: docker")[1:]
    assert len(stages) == 2
    for stage in stages:
        given = set(re.findall(r"^    (\w+)=", stage[stage.index("%arguments") :].split("\n\n")[0], re.M))
        assert set(re.findall(r"{{ (\w+) }}", stage)) <= given


def test_the_build_context_is_what_the_recipe_copies(recipe):
    ignored = (DOCKER.parent / ".dockerignore").read_text().split("\n")
    assert "*" in ignored
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(recipe.SOURCE)
    assert all((DOCKER.parent / name).exists() for name in recipe.SOURCE)
