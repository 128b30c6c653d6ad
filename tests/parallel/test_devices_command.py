"""gpuhomog devices under a launcher: what each rank computes on, and how arrays get from rank to rank."""

import json
import subprocess
import sys
import threading
from importlib.util import find_spec
from shutil import which
from types import SimpleNamespace

import pytest
from ranks import together
from requirements import needed

from gpuhomog.device import choose_device
from gpuhomog.errors import DeviceError
from gpuhomog.jobs import devices
from gpuhomog.jobs.task import Inputs


class Card:
    """A GPU as far as it tells of itself."""

    def __init__(self, number, transport=None):
        self.name, self.runtime, self._transport = f"gpu:{number}", SimpleNamespace(product_name="H100"), transport

    def transport(self, comm):
        comm.gather(None)  # all ranks or none
        if isinstance(self._transport, Exception):
            raise self._transport
        return self._transport


@pytest.fixture
def found(monkeypatch):
    """found(cards): report and rows of ranks that have these cards, None for none."""
    own, cpu = threading.local(), choose_device("cpu")

    def choose(name):
        if name == "cpu" or own.card is None:
            return cpu
        if isinstance(own.card, Exception):
            raise own.card
        return own.card

    def work(comm, cards):
        own.card = cards[comm.rank]
        return devices.run_devices(Inputs(comm), {})

    monkeypatch.setattr(devices, "choose_device", choose)
    monkeypatch.setattr(devices, "why_no_gpu", lambda: "nothing is plugged in")
    return lambda *cards: together(len(cards), lambda comm: work(comm, cards))


NCCL = SimpleNamespace(name="nccl", words="NCCL", why_not={"ipc": "the ranks are on 2 nodes"})


def test_ranks_on_gpus(found):
    for outcome in found(Card(0, NCCL), Card(1, NCCL)):
        assert [rank["device"] for rank in outcome.report["ranks"]] == ["gpu:0", "gpu:1"]
        assert outcome.report["transport"] == {"name": "nccl", "words": "NCCL", "why_not": NCCL.why_not}
        title, rows = outcome.tables[1]
        assert title == "Ranks" and rows[1][0] == "rank 1" and rows[1][1].startswith("gpu:1 (H100), ")
        assert rows[2:] == [("arrays go by", "NCCL"), ("not ipc", "the ranks are on 2 nodes")]


def test_ranks_without_gpus(found):
    for outcome in found(None, None, None):
        assert outcome.report["transport"]["name"] == "mpi"
        assert [name for name, _ in outcome.tables[1][1]] == ["rank 0", "rank 1", "rank 2", "arrays go by"]


def test_one_process_sends_nothing(found):
    (outcome,) = found(None)
    assert outcome.report["transport"] is None and len(outcome.report["ranks"]) == 1 and len(outcome.tables) == 1


def test_ranks_of_two_kinds(found):
    words = "none, --device auto is gpu on rank 0 and cpu on rank 2: give all ranks a GPU, or choose --device cpu"
    for outcome in found(Card(0), Card(1), None):
        assert outcome.report["transport"] == {"name": None, "words": words, "why_not": {}}


def test_a_transport_that_cannot_be_had(found):
    refused = DeviceError("The environment variable asks for too much.")
    for outcome in found(Card(0, refused), Card(1, refused)):
        assert outcome.tables[1][1][-1] == ("arrays go by", f"none: {refused}")


def test_a_rank_that_cannot_choose(found):
    with pytest.raises(DeviceError, match="rank 1 of 2: gpu:7 is not there"):
        found(None, DeviceError("gpu:7 is not there"))


def test_two_processes(monkeypatch):
    needed("mpi", None if find_spec("mpi4py") and which("mpiexec") else "mpi4py or mpiexec is missing: gpuhomog[mpi]")
    command = ["mpiexec", "-n", "2", sys.executable, "-m", "gpuhomog", "devices", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)["result"]
    assert [rank["device"] for rank in report["ranks"]] == ["cpu", "cpu"]
    assert report["transport"]["words"].startswith("MPI (")
