"""Jobs: commands with checked options, from the command line or a job file, run in one way."""

from .commands import COMMANDS
from .job_file import Job, read_job
from .task import Command, Inputs, Outcome, Task, prepare

__all__ = ["COMMANDS", "Command", "Inputs", "Job", "Outcome", "Task", "prepare", "read_job"]
