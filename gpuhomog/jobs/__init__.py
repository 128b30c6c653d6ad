"""Jobs: commands with checked options, from the command line or a job file, run in one way."""

from .commands import COMMANDS, FAMILIES
from .job_file import read_job
from .machines import PLAN_OPTIONS
from .plan import plan
from .slurm import BATCH_OPTIONS
from .submit import submit
from .task import Command, Inputs, Outcome, Task, prepare

__all__ = [
    "BATCH_OPTIONS",
    "COMMANDS",
    "FAMILIES",
    "PLAN_OPTIONS",
    "Command",
    "Inputs",
    "Outcome",
    "Task",
    "plan",
    "prepare",
    "read_job",
    "submit",
]
