"""A Slurm cluster of two nodes for the tests, both this machine: four daemons on private ports, in one folder.

Nothing of the machine's own Slurm is read or changed: SLURM_CONF points here, and munge has its own key and socket.

In   a folder with a short name (sockets), which the daemons may fill.
Out  Cluster: the environment in which sbatch, squeue and srun find it; state, exit code and log of a job.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun", "scancel", "scontrol")
FOLDERS = ("/usr/sbin", "/sbin")

CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
SwitchType=switch/none
KillWait=2
MinJobAge=3600
FirstJobId={first}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
GresTypes=gpu
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]},{ports[2]} CPUs=8 RealMemory=1000 Gres=gpu:2
PartitionName=short Nodes=n[1-2] Default=YES MaxTime=10 State=UP
"""
DEVICES = """\
Name=gpu File=/dev/zero
Name=gpu File=/dev/full
"""


def where(program):
    """Path of a program, also of those for administrators; None if it is not there."""
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(FOLDERS))


def why_no_slurm():
    """The reason why no cluster can be started here; None if it can."""
    missing = [program for program in PROGRAMS if where(program) is None]
    if missing:
        return f"no {', '.join(missing)} (Debian: slurm-wlm, munge)"
    return None if os.geteuid() == 0 else "Slurm's daemons are started as root only"


def free_ports(count):
    """Ports that nothing listens on."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Cluster:
    """Two nodes, started when made; stop() ends every daemon."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.daemons = []
        host = socket.gethostname().split(".")[0]
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        configuration = self.folder / "slurm.conf"
        # MPICH names its shared memory after the job: what a job of another cluster left there must not be met again.
        first = random.SystemRandom().randrange(1000, 60_000_000)
        configuration.write_text(CONFIGURATION.format(host=host, folder=self.folder, ports=free_ports(3), first=first))
        (self.folder / "gres.conf").write_text(DEVICES)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))},
            "SLURM_CONF": str(configuration),
        }
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self):
        munge = self.folder / "munge"
        self._launch(
            "munged", "--foreground", "--force", f"--key-file={munge / 'key'}", f"--socket={munge / 'socket'}",
            f"--pid-file={munge / 'pid'}", f"--log-file={munge / 'log'}", f"--seed-file={munge / 'seed'}",
        )  # fmt: skip
        self.wait_until((munge / "socket").exists, "munged listens")
        configuration = self.environment["SLURM_CONF"]
        self._launch("slurmctld", "-D", "-i", "-f", configuration)
        for node in ("n1", "n2"):
            self._launch("slurmd", "-D", "-N", node, "-f", configuration)
        self.wait_until(lambda: self.ask("sinfo", "--noheader", "--format=%T %D") == "idle 2", "both nodes are idle")

    def _launch(self, program, *arguments):
        with (self.folder / f"{len(self.daemons)}-{program}.err").open("wb") as said:
            self.daemons.append(
                subprocess.Popen(
                    [where(program), *arguments],
                    env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                )
            )  # fmt: skip

    def wait_until(self, true, what, seconds=30):
        end = time.monotonic() + seconds
        while not true():
            dead = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                logs = [*self.folder.glob("*.log"), *self.folder.glob("*.err"), self.folder / "munge" / "log"]
                texts = (f"{path.name}:\n{path.read_text()[-2000:]}" for path in logs if path.exists())
                raise RuntimeError(f"not after {seconds} s: {what}; ended: {dead}\n" + "\n".join(texts))
            time.sleep(0.1)

    def ask(self, *command):
        """Standard output of one of Slurm's commands, which may fail."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=30
        ).stdout.strip()

    def facts(self, job):
        """What scontrol tells of a job: JobState, ExitCode, Reason, …"""
        words = self.ask("scontrol", "--oneliner", "show", "job", str(job)).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, job, states, seconds=90):
        """Wait until a job is in one of these states; its facts."""
        self.wait_until(
            lambda: self.facts(job).get("JobState") in states, f"job {job} is {' or '.join(states)}", seconds
        )
        return self.facts(job)

    def stop(self):
        """Cancel what a failed test left, then end the daemons, the last started first."""
        if self.daemons and self.ask("squeue", "--noheader"):
            self.ask("scancel", "--full", "--signal=KILL", "--user=root")
            self.ask("scancel", "--user=root")
            time.sleep(2)
        for daemon in reversed(self.daemons):
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
