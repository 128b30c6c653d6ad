"""A CPU whose filters of slabs go by spectra of planes, as those of a GPU do."""

from gpuhomog.device.cpu import CPU
from gpuhomog.device.padded import slabs_by_planes


class ByPlanes(CPU):
    pads_one_axis = False

    def filter_slabs(self, planes, multipliers, lines, empty):
        return slabs_by_planes(self, planes, multipliers, lines, empty)
