"""Figures: each takes frames and returns a `Figure`; none estimates, none saves. Matplotlib lives here and nowhere else."""

from matplotlib.figure import Figure as Figure

from syneff.report.figures.effects import event_study as event_study
from syneff.report.figures.effects import placebo as placebo
from syneff.report.figures.effects import specification_curve as specification_curve
from syneff.report.figures.matching import love_plot as love_plot
from syneff.report.figures.matching import overlap as overlap
from syneff.report.figures.style import KINDS as KINDS
from syneff.report.figures.style import MINUS as MINUS
from syneff.report.figures.style import render as render
