"""The look of every figure, and the bytes of its file.

`render` turns a figure into the bytes of a file, the same bytes every time: no date, no random identifiers. Colours are those
of Okabe and Ito, which colour-blind readers tell apart, and every colour is doubled by a shape, so that the figures survive a
black-and-white printer.
"""

import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names

INK, GREY, FAINT, BLUE, ORANGE = "#1a1a1a", "#6b6b6b", "#d0d0d0", "#0072b2", "#d55e00"
MINUS = "\N{MINUS SIGN}"
KINDS = ("svg", "pdf", "png")
_CHINESE = ("Noto Serif CJK SC", "Source Han Serif SC", "Noto Sans CJK SC", "Source Han Sans SC", "SimSun")


def settings() -> dict[Any, Any]:
    """Return matplotlib's settings; a Chinese font joins where there is one, the others come with matplotlib."""
    fonts = set(get_font_names())
    return {
        "font.family": ["STIXGeneral", *[name for name in _CHINESE if name in fonts][:1]],
        "mathtext.fontset": "stix",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 10,
        "svg.hashsalt": "syneff",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }


def render(figure: Figure, kind: str) -> bytes:
    """Return the bytes of a figure's file, equal for equal figures.

    Parameters
    ----------
    figure
        The figure.
    kind
        "svg", "pdf" or "png".
    """
    undated: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
    }
    buffer = io.BytesIO()
    with matplotlib.rc_context(settings()):
        figure.savefig(buffer, format=kind, dpi=300, metadata=undated[kind])
    return buffer.getvalue()


def write_remarks(axes: Axes, said: list[str]) -> None:
    """Write remarks above the axes, where no mark can be."""
    axes.set_title(" · ".join(said), loc="right", fontsize=9.5, color=GREY, pad=4)


def p_text(p_value: float) -> str:
    """Word a p-value."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
