"""What tests do where a tool they need is missing: skip with the reason, or fail where it is required.

GPUHOMOG_REQUIRE names what must be there, as "sanitizers,compiler,slurm", so that a run meant to check what needs it
cannot pass by skipping it.
"""

import os

import pytest


def needed(what: str, reason: str | None) -> None:
    """Go on where there is no reason against it."""
    if reason and what in os.environ.get("GPUHOMOG_REQUIRE", "").replace(" ", "").split(","):
        pytest.fail(f"GPUHOMOG_REQUIRE names {what}, but {reason}")
    if reason:
        pytest.skip(reason)
