"""Batch scripts hold what was asked for, and nothing that was typed reaches a shell unquoted."""

import json
import os
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.jobs import BATCH_OPTIONS, read_job, submit
from gpuhomog.jobs import submit as submit_function

SUBMIT = sys.modules[submit_function.__module__]

DATA = Path(__file__).parent.parent / "data"

# Stands for any program: writes how many arguments it had, and these, each ended by a zero byte.
RECORDER = """\
#!/bin/bash
printf '%s\\0' "$#" "$@" >> "$0.arguments"
"""
# Starts what follows its own options, as the launchers do.
LAUNCHER = RECORDER + 'while [[ $1 == -* ]]; do [[ $1 == -n ]] && shift; shift; done\nexec "$@"\n'
DEVICE = RECORDER + 'printf %s "$GPUHOMOG_DEVICE" > "$0.device"\n'
SBATCH = (
    RECORDER + 'cat > "$0.script"\nshopt -s nullglob\necho x >> "$0.count"\necho $((100 + $(wc -l < "$0.count")))\n'
)


def calls(program):
    """The arguments of each call of a recorded program."""
    written = Path(f"{program}.arguments")
    words = os.fsdecode(written.read_bytes()).split("\0")[:-1] if written.exists() else []
    found = []
    while words:
        count = int(words.pop(0))
        found.append(words[:count])
        del words[:count]
    return found


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder that is first on PATH, with launchers that record and start, and a Python that only records."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("srun", "mpiexec"):
        executable(folder / name, LAUNCHER)
    executable(folder / "python", DEVICE)
    executable(folder / "apptainer", DEVICE)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(SUBMIT, "has_mpich", lambda: False)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def run_script(text, **environment):
    """Run a batch script as Slurm does, in an empty current folder; nothing may come of it there."""
    subprocess.run(["bash"], input=text.encode(), env={**os.environ, **environment}, check=True, timeout=20)


def test_everything_asked_for_is_in_the_script(job, program, tools):
    path = job()
    setup = path.with_name("modules.sh")
    setup.write_text("module load cuda\n")
    code, out, err = program(
        "submit", path, "--nodes", 2, "--gpus-per-node", 4, "--cpus-per-rank", 8, "--time", "1-02:00:00",
        "--queue", "gpu,gpu_long", "--account", "phys-1", "--qos", "long", "--memory-per-node", "200G",
        "--name", "NaCl.slab", "--setup", setup, "--dry-run",
    )  # fmt: skip
    assert (code, err) == (0, "")
    head, launch = out.rsplit("\n", 2)[:2]
    assert head.split("\n") == [
        "#!/bin/bash",
        "#SBATCH --job-name=NaCl.slab",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=4",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --gres=gpu:4",
        "#SBATCH --mem=200G",
        "#SBATCH --time=1-02:00:00",
        "#SBATCH --partition=gpu,gpu_long",
        "#SBATCH --account=phys-1",
        "#SBATCH --qos=long",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --no-requeue",
        "set -e",
        f"source {setup}",
        "export GPUHOMOG_DEVICE=gpu",
        "export OMP_NUM_THREADS=8",
    ]
    assert launch == f"exec srun --cpus-per-task=8 --wait=60 {tools}/python -P -m gpuhomog run {path}"


def test_nothing_asked_for_is_one_rank_by_the_sites_defaults(job, program, tools):
    path = job()
    assert program("submit", path, "--dry-run") == (
        0,
        "#!/bin/bash\n#SBATCH --job-name=job\n#SBATCH --nodes=1\n#SBATCH --ntasks-per-node=1\n"
        "#SBATCH --cpus-per-task=1\n#SBATCH --signal=B:USR1@120\n#SBATCH --no-requeue\n"
        "export OMP_NUM_THREADS=1\n"
        f"exec srun --cpus-per-task=1 --wait=60 {tools}/python -P -m gpuhomog run {path}\n",
        "",
    )


def test_what_is_typed_wins_over_the_job_file(job, program, tools):
    path = job('[batch]\nsystem = "slurm"\nnodes = 4\nranks-per-node = 2\nsetup = "modules.sh"\nmpi = "pmix"\n')
    path.with_name("modules.sh").touch()
    lines = program("submit", path, "--nodes", 3, "--dry-run")[1].splitlines()
    assert {"#SBATCH --nodes=3", "#SBATCH --ntasks-per-node=2", f"source {path.parent}/modules.sh"} <= set(lines)
    assert lines[-1].startswith("exec srun --cpus-per-task=1 --wait=60 --mpi=pmix ")


@pytest.mark.parametrize("time, before", [("00:01:00", 15), ("00:08:00", 120), ("1-00:00:00", 120), ("0:00:01", 1)])
def test_the_signal_comes_within_the_time(job, program, tools, time, before):
    assert f"--signal=B:USR1@{before}\n" in program("submit", job(), "--time", time, "--dry-run")[1]


def test_mpich_starts_its_ranks_itself_and_other_libraries_by_srun(job, program, tools, monkeypatch):
    assert "--mpi" not in program("submit", job(), "--dry-run")[1]
    assert " --mpi=pmix_v4 " in program("submit", job(), "--mpi", "pmix_v4", "--dry-run")[1]
    monkeypatch.setattr(SUBMIT, "has_mpich", lambda: True)
    lines = program("submit", job(), "--nodes", 2, "--dry-run")[1].splitlines()
    assert lines[-1].startswith(f"exec {tools}/mpiexec -n 2 {tools}/python ")
    assert "export SLURM_CPU_BIND=none" in lines
    assert "exec srun" in program("submit", job(), "--mpi", "pmix_v4", "--dry-run")[1]
    assert " --mpi=pmi2 " in program("submit", job(), "--launcher", "srun", "--dry-run")[1]


@pytest.mark.parametrize("launcher", ["srun", "mpiexec"])
def test_ranks_are_told_to_take_gpus(job, program, tools, launcher, monkeypatch):
    """Which one is each rank's own is tested in tests/device/test_choice.py, and in jobs in test_slurm.py."""
    monkeypatch.delenv("GPUHOMOG_DEVICE", raising=False)
    given = ("submit", job(), "--launcher", launcher, "--dry-run", "--gpus-per-node")
    for gpus, told in ((4, "gpu"), (0, "")):
        run_script(program(*given, gpus)[1])
        assert (tools / "python.device").read_text() == told


def test_mpiexec_starts_all_ranks(job, program, tools):
    run_script(program("submit", job(), "--nodes", 3, "--ranks-per-node", 5, "--launcher", "mpiexec", "--dry-run")[1])
    assert calls(tools / "mpiexec") == [
        ["-n", "15", *[str(tools / "python"), "-P", "-m", "gpuhomog", "run", str(job())]]
    ]


STEP = '[[task]]\ncommand = "step"\naxis = "c"\n'
LIMITED = '[input]\nfile = "field.h5"\nquantity = "charge_density"\n[run]\nmax_memory = "4GB"\n[[task]]\n'


@pytest.mark.parametrize(
    ("task", "needs"),
    [
        ('command = "decay"\nx-b = 3', "decay with these options needs all values of field.h5 at once"),
        ('command = "potential"\nradius = 4\nat = 3', "needs all values of field.h5 at once"),
        ('command = "potential"\nradius = 4\naxis = "a"', "needs all values of field.h5 at once"),
        ('command = "convert"\nless = "field.h5"\noutput = "none.h5"', "needs all values of field.h5 at once"),
        ('command = "average"\nkernel = "ball"\neps = 4\nspacing = 2\noutput = "a.h5"', "needs all values of field"),
        ('command = "decay"\nx-b = 3\naxis = "a"', None),
        ('command = "potential"\nradius = 4\nat = 3\naxis = "a"', None),
        ('command = "potential"', None),
    ],
)
def test_what_needs_all_values_is_refused_before_it_waits(job, program, tools, task, needs):
    path = job(tasks=LIMITED + task)
    code, out, err = program("submit", path, "--dry-run")
    assert (code == 0 and out and not err) if needs is None else (code == 2 and not out and needs in err)
    assert program("plan", path)[0] == code
    ran, _, err = program("run", path)
    assert needs is None or (ran == 2 and ("needs all values" in err or "cuts matter" in err))


@pytest.mark.parametrize("unit", ["", 'unit = "eV"\n'])
def test_a_file_whose_unit_has_to_be_said_is_refused_before_it_waits(job, program, tools, unit):
    """pp.x says Ry with its name alone; the values of a potential are then asked for."""
    path = job(tasks=f'[input]\nfile = "v.cube"\nquantity = "electron_potential_energy"\n{unit}{STEP}')
    atoms, vectors = "1 0 0 0\n", "".join(f"2 {row}\n" for row in ("1 0 0", "0 1 0", "0 0 1"))
    head = "Cubfile created from PWScf calculation\nContains the selected quantity\n"
    path.with_name("v.cube").write_text(f"{head}{atoms}{vectors}1 1 0 0 0\n{' 0.5' * 8}\n")
    told = [program(*words) for words in (("submit", path, "--dry-run"), ("plan", path), ("run", path))]
    if unit:
        assert told[0][0] == told[1][0] == 0
    else:
        assert [code for code, _, _ in told] == [2] * 3 and not told[0][1]
        assert all("v.cube: its comments name PWScf" in err and "Ry" in err for _, _, err in told)


@pytest.mark.parametrize(
    "task",
    [
        'command = "surface"',
        'command = "interface"\nbetween = [1, 3]',
        'command = "surface-map"\neps = 1',
        'command = "budget"',
        'command = "decay"\nx-b = 3',
        'command = "potential"\nradius = 4\nat = 3',
        'command = "cavity"\ncentre = [0, 0, 0]\nradii = 3',
    ],
)
def test_what_takes_a_charge_density_is_refused_anything_else_before_it_waits(job, program, tools, task):
    path = job(tasks=f'[input]\nfile = "field.h5"\nquantity = "electron_density"\n[[task]]\n{task}')
    for words in (("submit", path, "--dry-run"), ("plan", path), ("run", path)):
        code, _, err = program(*words)
        assert code == 2 and "needs a charge_density, and this is of quantity electron_density" in err, err


@pytest.mark.parametrize(
    ("quantity", "task", "words"),
    [
        ("electron_density", 'command = "step"', "A potential step needs"),
        ("scalar", 'command = "step"', "A potential step needs"),
        ("scalar", 'command = "step"\nto-quantity = "charge_density"', "This field is a scalar"),
        ("charge_density", 'command = "step"\ndensity = "electrons.h5"', "shows itself where it is empty"),
        (
            "electron_potential_energy",
            'command = "step"\ndensity = "other.npz"',
            "does not say that it holds a density",
        ),
        ("electron_density", 'command = "inner-potential"', "A potential step needs"),
        ("charge_density", 'command = "inner-potential"\ndensity = "other.npz"', "needs no other beside it"),
        ("electron_potential_energy", 'command = "inner-potential"\ndensity = "electrons.h5"', "not a charge density"),
        ("electrostatic_potential", 'command = "energy"\nother = "field.h5"', "that of two charge densities"),
        ("charge_density", 'command = "energy"\nother = "electrons.h5"', "not a charge density"),
        ("electron_density", 'command = "potential"', "An electrostatic potential is made from"),
        ("scalar", 'command = "potential"\nto-quantity = "electric_field"', "An electrostatic potential is made from"),
        ("scalar", 'command = "potential"\nto-quantity = "charge_density"', "This field is a scalar"),
        (
            "electron_potential_energy",
            'command = "potential"\naxis = "c"\ndensity = "other.npz"',
            "does not say that it holds a density",
        ),
        ("electron_potential_energy", 'command = "potential"\nradius = 4\nat = 3', "--radius sums charge"),
        ("electron_potential_energy", 'command = "profile"\nion-charges = {Na = 1}', "A potential holds its ions"),
        (
            "charge_density",
            'command = "macro"\nwidth = 1\nion-charges = {Na = 1}',
            "already, and ions",
        ),
        ("scalar", 'command = "scales"\nto-quantity = "electrostatic_potential"', "An electrostatic potential is made"),
    ],
)
def test_another_quantity_is_refused_from_the_header_as_a_run_refuses_it(job, program, tools, quantity, task, words):
    path = job(tasks=f'[input]\nfile = "field.h5"\nquantity = "{quantity}"\n[[task]]\n{task}')
    field = gh.read(path.with_name("field.h5"), device="cpu")
    gh.write(gh.Field.from_array(field.to_host(), field.grid.cell, device="cpu"), path.with_name("other.npz"))
    electrons = gh.Field.from_array(field.to_host(), field.grid.cell, quantity="electron_density", device="cpu")
    gh.write(electrons, path.with_name("electrons.h5"))
    said = [program(*call) for call in (("submit", path, "--dry-run"), ("plan", path), ("run", path))]
    for code, _, err in said:
        assert code == 2 and words in err, err


def test_ranks_may_share_gpus_evenly(job, program, tools):
    given = ("submit", job(), "--gpus-per-node", 2, "--dry-run", "--ranks-per-node")
    assert "#SBATCH --ntasks-per-node=6\n" in program(*given, 6)[1]
    code, out, err = program(*given, 3)
    assert (code, out) == (2, "") and "--ranks-per-node 3" in err and "multiple" in err


def test_a_container_sees_all_folders_of_the_job(job, program, tools, tmp_path):
    (tmp_path / "inputs").mkdir()
    job().with_name("field.h5").rename(tmp_path / "inputs" / "field.h5")
    convert = '[[task]]\ncommand = "convert"\nfile = "../inputs/field.h5"\noutput = "{}"\n'
    path = job(tasks=convert.format("../elsewhere/a.h5") + convert.format("b.npz"))
    image = tmp_path / "an image.sif"
    image.touch()
    run_script(program("submit", path, "--container", image, "--dry-run")[1])
    run_script(program("submit", path, "--container", "docker://a.b/c:1", "--gpus-per-node", 1, "--dry-run")[1])
    bound = {
        f"--bind={tmp_path / name}" for name in ("inputs", "elsewhere", "work", "work/../inputs", "work/../elsewhere")
    }
    for call, begins, name in zip(
        calls(tools / "apptainer"), (["exec"], ["exec", "--nv"]), (str(image), "docker://a.b/c:1"), strict=True
    ):
        middle = [word for word in call if word.startswith("--bind")]
        assert set(middle) == bound and call == [*begins, *middle, name, "gpuhomog", "run", str(path)]
    assert " --mpi=pmi2 " in program("submit", path, "--container", image, "--dry-run")[1]  # of the project's images


def test_a_container_cannot_be_shown_every_folder(job, program, tools, tmp_path):
    folder = tmp_path / "a:b"
    folder.mkdir()
    path = job(tasks=f'[[task]]\ncommand = "convert"\nfile = "field.h5"\noutput = "{folder}/x.h5"')
    code, out, err = program("submit", path, "--container", "docker://a/b", "--dry-run")
    assert (code, out) == (2, "") and "a:b" in err and "colon" in err


def test_a_chain_waits_for_all_before_it_to_fail(job, program, tools):
    sbatch = executable(tools / "sbatch", SBATCH)
    path = job("[batch]\nchain = 2\n")
    code, out, err = program("submit", path, "--chain", 3, "--queue", "short", "--json")
    report = json.loads(out)
    assert (code, err) == (0, "") and report["job_ids"] == ["101", "102", "103"] and report["chain"] == 3
    assert report["command"] == "submit" and report["job"] == str(path) and report["dry_run"] is False
    assert Path(f"{sbatch}.script").read_text() == report["script"]
    asked = [line.removeprefix("#SBATCH ") for line in report["script"].splitlines() if line.startswith("#SBATCH")]
    assert "--partition=short" in asked
    after = [[], ["--dependency=afternotok:101", "--kill-on-invalid-dep=yes"]]
    after += [["--dependency=afternotok:101:102", "--kill-on-invalid-dep=yes"]]
    assert calls(sbatch) == [["--parsable", *asked, *more] for more in after]


def test_people_are_told_the_numbers(job, program, tools):
    executable(tools / "sbatch", SBATCH)
    code, out, err = program("submit", job())
    assert (code, err) == (0, "") and out.splitlines() == [
        "submitted job 101; what it prints goes to slurm-101.out",
        "to cancel: scancel 101",
    ]
    assert "one after another: 103, 104" in program("submit", job(), "--chain", 3)[1]


def test_a_dry_run_submits_nothing(job, program, tools):
    sbatch = executable(tools / "sbatch", SBATCH)
    path = job()
    text = program("submit", path, "--dry-run")[1]
    report = json.loads(program("submit", path, "--dry-run", "--json")[1])
    assert report["script"] == text and report["job_ids"] == [] and report["dry_run"] is True
    assert calls(sbatch) == []


def test_a_number_may_come_with_its_cluster(job, program, tools):
    executable(tools / "sbatch", "#!/bin/sh\necho '17;alpha'\n")
    assert json.loads(program("submit", job(), "--json")[1])["job_ids"] == ["17"]


def test_without_sbatch_one_sentence(job, program, tools, monkeypatch):
    monkeypatch.setenv("PATH", str(tools))
    code, out, err = program("submit", job())
    assert (code, out) == (2, "") and err.count("\n") == 1 and "sbatch was not found" in err and "--dry-run" in err


REFUSES = """\
#!/bin/sh
if [ -e "$0.once" ] || [ "$1" = "" ]; then
    echo "sbatch: error: invalid partition specified: fast" >&2
    echo "sbatch: error: Batch job submission failed: Invalid partition name specified" >&2
    exit 1
fi
"""


def test_a_refusal_is_passed_on_in_one_sentence(job, program, tools):
    sbatch = executable(tools / "sbatch", REFUSES + 'touch "$0.once"; echo 7\n')
    code, out, err = program("submit", job(), "--chain", 3)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "submission failed: Invalid partition name specified)." in err and "already submitted: 7." in err
    assert Path(f"{sbatch}.once").exists()
    code, out, err = program("submit", job(), "--json")
    assert code == 2 and "Nothing was submitted." in err and json.loads(out)["exit_code"] == 2


def test_an_answer_without_a_number_is_an_error(job, program, tools):
    executable(tools / "sbatch", "#!/bin/sh\necho welcome\n")
    code, out, err = program("submit", job())
    assert (code, out) == (1, "") and '"welcome"' in err and err.count("\n") == 1


HOSTILE = (
    "a b",
    "a'b",
    'a"b',
    "$(touch x)",
    "`touch x`",
    "a;b",
    "a\n#SBATCH --nodes=9",
    "-x",
    "--nodes=9",
    "",
    "a\x00b",
    "é",
)
NAMES = ("name", "queue", "account", "qos", "mpi", "memory-per-node", "time", "launcher", "system")
ODD = {
    "memory-per-node": ("64", "64GB", "-1G", "0G", "1e3M"),
    "time": ("soon", "2", "02:00", "1:60:00", "00:00:00", "1-2"),
    "mpi": ("PMI2", "pmi2,pmix"),
    "nodes": ("0", "1.5", "two", "1-4"),
    "chain": ("0", "-1"),
    "gpus-per-node": ("-1", "a100:4"),
    "ranks-per-node": ("0",),
    "cpus-per-rank": ("0",),
    "launcher": ("mpirun",),
    "system": ("pbs",),
    "container": ("http://a/b", "docker://a b", "docker://-x", "nowhere.sif", ""),
    "setup": ("nowhere.sh", ".", ""),
}
REFUSED = {name: (HOSTILE if name in NAMES else ()) + ODD.get(name, ()) for name in (*NAMES, *ODD)}


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_values_are_refused_in_one_sentence(job, program, tools, name):
    executable(tools / "sbatch", SBATCH)
    for value in REFUSED[name]:
        for typed in ((job(), f"--{name}={value}"), (job(f"[batch]\n{name} = {json.dumps(value)}\n"),)):
            code, out, err = program("submit", *typed)
            assert (code, out) == (2, "") and err.count("\n") == 1 and name in err, (value, err)
    assert calls(tools / "sbatch") == [] and not list(Path().iterdir())


def test_a_job_that_cannot_run_is_refused_before_it_is_submitted(job, program, tools):
    executable(tools / "sbatch", SBATCH)
    path = job()
    path.with_name("field.h5").unlink()
    code, out, err = program("submit", path)
    assert (code, out) == (2, "") and "field.h5: no such file" in err and calls(tools / "sbatch") == []


def test_devices_of_the_nodes_need_not_be_here(job, program, tools):
    path = job('[run]\ndevice = "gpu:7"\n')
    assert program("submit", path, "--gpus-per-node", 1, "--dry-run")[0] == 0
    assert [task.values["device"] for task in read_job(path, elsewhere=True).tasks] == ["gpu:7", "gpu:7"]
    with pytest.raises(InputError, match="gpu:7"):
        read_job(path)
    code, _, err = program("submit", path, "--gpus-per-node", 2, "--dry-run")
    assert code == 2 and 'device = "gpu:7"' in err and "Leave it out" in err
    assert program("submit", job('[run]\ndevice = "gpu"\n'), "--gpus-per-node", 2, "--dry-run")[0] == 0
    code, _, err = program("submit", job('[run]\ndevice = "gpu:x"\n'), "--dry-run")
    assert code == 2 and "gpu:x" in err and '"gpu:N"' in err


def test_several_ranks_need_mpi4py(job, program, tools, monkeypatch):
    monkeypatch.setattr(SUBMIT, "find_spec", lambda name: None)
    assert program("submit", job(), "--dry-run")[0] == 0
    code, _, err = program("submit", job(), "--nodes", 2, "--dry-run")
    assert code == 2 and "2 ranks need mpi4py" in err
    assert program("submit", job(), "--nodes", 2, "--container", "docker://a/b", "--dry-run")[0] == 0


def test_a_setup_that_fails_ends_the_job(job, program, tools):
    path = job()
    setup = path.with_name("setup.sh")
    setup.write_text("false\n")
    script = program("submit", path, "--setup", setup, "--dry-run")[1]
    assert subprocess.run(["bash"], input=script.encode(), check=False).returncode == 1
    assert calls(tools / "srun") == []


def test_a_name_that_is_no_text_is_refused(job, program, tools):
    path = job().rename(job().with_name(os.fsdecode(b"a\xff.toml")))
    code, out, err = program("submit", path, "--dry-run")
    assert (code, out) == (2, "") and err.count("\n") == 1 and "UTF-8" in err


def test_inside_a_job_nothing_is_said_of_batch(job, program, monkeypatch):
    path = job("[batch]\nnodes = 2\n", tasks=(job().read_text().split("[[task]]")[0] + '[[task]]\ncommand = "info"\n'))
    assert "[batch]" in program("run", path)[2]
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert "[batch]" not in program("run", path)[2]


def test_the_help_has_every_option(program):
    text = program("submit", "--help")[1]
    for option in BATCH_OPTIONS:
        assert f"--{option.name} " in text and option.metavar in text


NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=30)
FILE = NAME.filter(lambda name: name not in (".", ".."))


@given(FILE, FILE, st.booleans())
@example("a b", "it's", False)
@example('"', "`touch x`", True)
@example("$(touch x)", "a\n#SBATCH --nodes=9\nb", True)
@example("-rf", "*", True)
@example("~", "\\", True)
@example("!x", "#", False)
@example("a;touch x", "&", True)
@example("$'\\n'", "${PATH}", True)
def test_names_reach_the_program_as_they_are(tmp_path_factory, folder_name, name, contained):
    """A job file, an image and a set-up file of any name, in a folder of any name: bash hands on just these."""
    base = tmp_path_factory.mktemp("names")
    folder, tools, empty = base / folder_name, base.parent / f"{base.name}.bin", base.parent / f"{base.name}.empty"
    for new in (folder, tools, empty):
        new.mkdir()
    srun = executable(tools / "srun", RECORDER)
    source = DATA / "Si_CHGCAR.gz"
    (folder / name).write_text(f'[[task]]\ncommand = "info"\nfile = "{source}"\n')
    setup = folder / f"{name}.s"
    setup.write_text(f"export PATH={shlex.quote(str(tools))}:$PATH\n")
    given = {"launcher": "srun", "setup": str(setup), "container": str(folder / name) if contained else None}
    if contained and any(letter in f"{folder}" for letter in ":,"):
        with pytest.raises(InputError, match="colon or comma"):
            submit(folder / name, given, dry_run=True)
        return
    text = submit(folder / name, given, dry_run=True).script
    subprocess.run(["bash"], input=text.encode(), cwd=empty, check=True, timeout=20)
    (called,) = calls(srun)
    assert called[-2:] == ["run", str(folder / name)]
    if contained:
        assert called[-4] == str(folder / name) and f"--bind={folder}" in called
    assert list(empty.iterdir()) == [] and sorted(folder.iterdir()) == sorted([folder / name, setup])
    asked = list(takewhile(lambda line: line.startswith("#"), text.splitlines()))  # where Slurm stops looking
    assert "#SBATCH --nodes=1" in asked and "#SBATCH --nodes=9" not in asked
