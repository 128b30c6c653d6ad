"""Every figure as the art editor of a journal sees it: no small letters, nothing cut off, no text over another."""

import shlex
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from typer.main import get_command

import gpuhomog as gh
from gpuhomog.cli import app
from gpuhomog.jobs import COMMANDS, prepare
from gpuhomog.jobs.task import Inputs
from gpuhomog.paper.densities import crystal, face_centred
from gpuhomog.plots import style
from gpuhomog.plots.style import SMALL

PROGRAM = get_command(app)
EXAMPLES = Path(gh.__file__).parent / "examples"
SLAB = EXAMPLES / "NaCl_slab_charge_density.h5"
ENERGY = EXAMPLES / "NaCl_slab_electron_potential_energy.h5"
TYPED = (
    "average crystal.h5 --kernel gaussian --eps 1",
    "profile {SLAB}",
    "profile {ENERGY} --period 2.5,4.05",
    "profile wire.h5 --axis a --period none",
    "trajectory run.xyz --charges Na=1,Cl=-1 --cell 12,12,12 --spacing 1.5",
    "scales wave.h5",
    "scales crystal.h5 --eps 1,1.5,2",
    "macro wave.h5 --width 20",
    "moments {SLAB}",
    "homogenize wave.h5 --eps 4,20",
    "surface {SLAB}",
    "surface crystal.h5 --hkl 1,1,1 --cut 1",
    "interface layers.h5 --between 10,30 --period 4,5",
    "corners wire.h5 --box=-0.5,40.5,-0.5,39.5",
    "corners cube.h5 --box=-0.5,31.5,-0.5,31.5,-0.5,31.5",
    "surface-map {SLAB} --eps 3",
    "charges ions.csv --period 3",
    "step {ENERGY} --density {SLAB}",
    "step layers.h5 --to-quantity electrostatic_potential --between 10,30 --period 4,5 --band-edge 5,7.1,6.4,9",
    "potential {SLAB} --boundary p,p,o",
    "potential {ENERGY} --axis c --fermi-energy -3",
    "potential {SLAB} --axis c --radius 12 --at 14.05",
    "budget {SLAB} --axis c",
    "decay {SLAB} --x-b 14.05",
    "inner-potential {SLAB} --axis c",
    "cavity crystal.h5 --centre 0,0,0 --radii 30:60:1",
    "current {SLAB} {SLAB} {SLAB} --time-step 1fs",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small inputs of the commands above."""
    at = tmp_path_factory.mktemp("in_print")
    charge = {"quantity": "charge_density"}
    ions = {"Na": [[0, 0, 0]], "Cl": [[0.5, 0.5, 0.5]]}
    gh.write(
        crystal(face_centred(5.64), ions, {"Na": 1.0, "Cl": -1.0}, std=0.25, shape=(24, 24, 24)), at / "crystal.h5"
    )
    x = np.arange(4096) * 0.125
    wave = np.random.default_rng(1).standard_normal(4096) + 0.3 * np.cos(2 * np.pi * x / 256)
    gh.write(gh.Field.from_array(wave[None, None], np.diag([1, 1, 512.0]), **charge), at / "wave.h5")
    x = np.arange(400) * 0.1
    layers = np.where(x < 20, np.cos(np.pi * x / 2), np.sin(2 * np.pi * x / 5))
    gh.write(gh.Field.from_array(layers[None, None] / 1e3, np.diag([3, 3, 40.0]), **charge), at / "layers.h5")
    board = (-1.0) ** np.indices((41, 40, 1)).sum(axis=0)
    gh.write(gh.Field.from_array(board, np.diag([41, 40, 1.0]), boundary="o,o,p", **charge), at / "wire.h5")
    cube = (-1.0) ** np.indices((32, 32, 32)).sum(axis=0)
    gh.write(gh.Field.from_array(cube, 32 * np.eye(3), boundary="open", **charge), at / "cube.h5")
    (at / "ions.csv").write_text("position,charge\n" + "".join(f"{1.5 * i},{(-1) ** i}\n" for i in range(20)))
    frames = np.random.default_rng(2).uniform(0, 12, (16, 20, 3))
    rows = ["".join(f"{('Na', 'Cl')[i % 2]} {a} {b} {c}\n" for i, (a, b, c) in enumerate(frame)) for frame in frames]
    (at / "run.xyz").write_text("".join(f"20\nframe\n{row}" for row in rows))
    return at


def texts(figure):
    """What is written in a figure, and where; ticks beyond the limits are not."""
    figure.draw_without_rendering()
    hidden = set()
    for axis in chain.from_iterable((axes.xaxis, axes.yaxis) for axes in figure.axes):
        shown = [tick for tick in axis._update_ticks() if axis.axes.axison]
        for tick in (*axis.majorTicks, *axis.minorTicks):
            hidden |= set() if tick in shown else {tick.label1, tick.label2}
    renderer = figure.canvas.get_renderer()
    written = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(renderer)) for text in written if text not in hidden]


def overlap(one, other):
    """Of two boxes, the smaller side of what they share."""
    return min(min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0))


@pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")
@pytest.mark.parametrize("line", TYPED)
def test_a_figure_in_print(folder, monkeypatch, line):
    monkeypatch.chdir(folder)
    name, *words = shlex.split(line.format(SLAB=SLAB, ENERGY=ENERGY))
    given = PROGRAM.commands[name].make_context(name, [*words, "--plot", "figure.pdf"]).params
    files = given.pop("files", None) or given.pop("file", None)
    task = prepare(COMMANDS[name], given, file=files)
    outcome = COMMANDS[name].run(Inputs(), task.values)
    for width in ("column", "page"):
        task.values["figure_width"] = width
        figure = outcome.draw()
        found, point = texts(figure), figure.dpi / 72
        assert len(found) > 4
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):  # one number is no scale
                assert (
                    not axis.get_label_text() or sum(text in axis.get_ticklabels(which="both") for text, _ in found) > 1
                )
        assert not [text.get_text() for text, _ in found if text.get_fontsize() < SMALL], width
        for axes in figure.axes:
            if (legend := axes.get_legend()) is not None:
                box = legend.get_window_extent()
                assert axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1, width
        paper = figure.bbox.padded(0.5)
        cut = [text.get_text() for text, box in found if not (paper.contains(*box.min) and paper.contains(*box.max))]
        assert not cut, width
        over = [(a.get_text(), b.get_text()) for (a, at), (b, to) in combinations(found, 2) if overlap(at, to) > point]
        assert not over, width


def test_numbers_of_neighbouring_rows_do_not_touch():
    figure = style.new_figure("column", 3.2)
    upper, lower = style.figure_rows(figure, [1.3, 1.2])
    upper.set_yticks([-0.4, 0.0, 0.4])
    lower.set_yticks([0.0, 0.1, 0.2, 0.3])
    upper.set_ylim(-0.41, 0.62)
    lower.set_ylim(0.0, 0.302)
    style.finish_rows([upper, lower], "position (Å)", (0.0, 1.0))
    found = texts(figure)
    assert not [1 for (_, at), (_, to) in combinations(found, 2) if overlap(at, to) > 0]
    assert {"−0.4", "0.2"} <= {text.get_text() for text, _ in found} and 0.3 not in lower.get_yticks()


def test_every_command_with_a_figure_is_looked_at():
    drawn = {name for name, command in COMMANDS.items() if any(option.name == "plot" for option in command.options)}
    assert {line.split()[0] for line in TYPED} == drawn
