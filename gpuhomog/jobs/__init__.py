"""Jobs: commands with checked options, from the command line or a job file, run in one way."""

from .commands import COMMANDS
from .job_file import Job, read_job
from .slurm import BATCH_OPTIONS
from .submit import Submission, submit
from .task import Command, Inputs, Outcome, Task, prepare

__all__ = [
    "BATCH_OPTIONS",
    "COMMANDS",
    "Command",
    "Inputs",
    "Job",
    "Outcome",
    "Submission",
    "Task",
    "prepare",
    "read_job",
    "submit",
]
