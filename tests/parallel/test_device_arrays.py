"""World and arrays that live on a device: real processes, arrays that only say where their memory is."""

import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from shutil import which

from requirements import needed

RANKS = """
    import json
    import numpy as np
    from gpuhomog.parallel import world

    comm = world()

    class OnDevice:
        def __init__(self, values):
            self.values, self.__cuda_array_interface__ = values, values.__array_interface__

    here, others = comm.rank, [r for r in range(comm.size) if r != comm.rank]
    right = {}
    for dtype in ("f4", "f8", "c8", "c16"):
        sent = {r: np.full((here + 1, r + 2), 10 * here + r, dtype) for r in others}
        received = {r: np.zeros((r + 1, here + 2), dtype) for r in others}
        comm.exchange_on_device(*({r: OnDevice(part) for r, part in parts.items()} for parts in (sent, received)))
        right[dtype] = all((part == 10 * r + here).all() for r, part in received.items())

    class Transport:
        def exchange(self, sent, received):
            right["transport"] = sent == ["sent"] and received == ["received"]

    class Device:
        def transport(self, asked):
            return Transport() if asked is comm else None

    comm.exchange(["sent"], ["received"], Device())
    answers = comm.gather((right, comm.cuda_support()))
    if here == 0:
        print(json.dumps(answers))
"""


def test_three_processes():
    needed("mpi", None if find_spec("mpi4py") and which("mpiexec") else "mpi4py or mpiexec is missing: gpuhomog[mpi]")
    command = ["mpiexec", "-n", "3", sys.executable, "-c", textwrap.dedent(RANKS)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    for right, (supported, told) in json.loads(answer.stdout):
        assert right == dict.fromkeys(("f4", "f8", "c8", "c16", "transport"), True)
        words = {True: " takes addresses of GPU memory", False: " does not take ", None: " does not tell "}
        assert supported in (True, False, None) and words[supported] in told
