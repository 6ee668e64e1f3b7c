r"""The linear programs of slacks-based efficiency, in the form that the batched solvers take.

With the Charnes-Cooper variables ``t``, ``Lambda = t lambda``, ``S = t s`` and every row divided by the evaluated unit's own
value, SBM (Tone 2001, doi:10.1016/S0377-2217(99)00407-5) with bad outputs is

.. math::

    \min\; t - \sum_i w_i S^-_i \quad\text{s.t.}\quad t + \sum_r w_r S^+_r + \sum_h w_h S^b_h = 1, \\
    \sum_j \tfrac{x_{ij}}{x_{io}} \Lambda_j + S^-_i = t, \quad
    \sum_j \tfrac{y_{rj}}{y_{ro}} \Lambda_j - S^+_r = t, \quad
    \sum_j \tfrac{b_{hj}}{b_{ho}} \Lambda_j + S^b_h = t,

and Super-SBM (Tone 2002, doi:10.1016/S0377-2217(01)00324-1), with bad outputs scored with the outputs (Huang, Yang and Cheng
2014, doi:10.1016/j.jclepro.2013.10.003), leaves out the evaluated unit's column and lets inputs and bad outputs rise and good
outputs fall:

.. math::

    \min\; t + \sum_i w_i S^-_i \quad\text{s.t.}\quad t - \sum_r w_r S^+_r - \sum_h w_h S^b_h = 1, \\
    \sum_j \tfrac{x_{ij}}{x_{io}} \Lambda_j - S^-_i \le t, \quad
    \sum_j \tfrac{y_{rj}}{y_{ro}} \Lambda_j + S^+_r \ge t, \quad
    \sum_j \tfrac{b_{hj}}{b_{ho}} \Lambda_j - S^b_h \le t, \quad S^+_r \le t.

Returns to scale add ``sum Lambda = t`` (vrs), ``<= t`` (nirs) or ``>= t`` (ndrs). Only the first block of columns knows the
data, and only through a scale of its rows: everything else in this module is a table of -1, 0, 1 and weights.

Both stages have the same rows and the same number of private columns, so that one compiled program serves both: in SBM the
rows that cap good outputs in Super-SBM are idle, ``cap = 1``, and zero columns of cost 1 fill up the block.

The form that is often printed, in which ``ybar/y + bbar/b`` with an unbounded ``bbar`` stands in the denominator, has the
infimum 0 for every unit; it is not offered.
"""

from dataclasses import dataclass

import numpy as np

from syneff.numerics.linear_program import LinearPrograms

ANCHOR = -1  # in a starting basis: a reference unit, to be filled in for each problem


@dataclass(frozen=True)
class Model:
    """What fixes the private block: the weights of the slacks and the options.

    Attributes
    ----------
    weights
        ``(w_x, w_y, w_b)``: ``w_x`` sums to 1, and so do ``w_y`` and ``w_b`` together.
    returns
        "crs", "vrs", "nirs" or "ndrs".
    orientation
        "none", "input" (no output slack is scored) or "output" (no input slack is scored).
    stage
        "sbm" or "super".
    own
        Whether the evaluated unit is itself in the reference set.
    """

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]
    returns: str
    orientation: str
    stage: str
    own: bool

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of inputs, good outputs and bad outputs."""
        inputs, good, bad = self.weights
        return inputs.size, good.size, bad.size

    @property
    def caps(self) -> int:
        """Number of rows that keep a projected good output from falling below 0; idle in SBM."""
        return self.sizes[1] if self.orientation != "input" else 0

    @property
    def rows(self) -> int:
        """Number of rows: data, normalisation, caps, returns to scale."""
        return sum(self.sizes) + 1 + self.caps + (self.returns != "crs")


@dataclass(frozen=True)
class PrivateBlock:
    """The columns that every program has for itself.

    Attributes
    ----------
    slices
        Where each group of columns is: ``t``, ``own``, the scored slacks ``input``, ``good``, ``bad``, the surpluses
        ``free_input``, ``free_good``, ``free_bad``, the slacks ``cap`` and ``returns``, and the columns ``idle``.
    matrix, cost
        ``[row private]`` and ``[private]``.
    rhs
        ``[row]``.
    """

    slices: dict[str, slice]
    matrix: np.ndarray
    cost: np.ndarray
    rhs: np.ndarray


def private_block(model: Model) -> PrivateBlock:
    """Write down the private columns of a model and their costs."""
    widest = _super(model)
    blocks = _sbm(model) if model.stage == "sbm" else widest
    idle = sum(cost.size for _, cost in widest.values()) - sum(cost.size for _, cost in blocks.values())
    blocks["idle"] = (np.zeros((model.rows, idle)), np.ones(idle))
    if model.returns in ("nirs", "ndrs"):
        sign = 1.0 if model.returns == "nirs" else -1.0
        blocks["returns"] = (sign * np.eye(model.rows)[:, -1:], np.zeros(1))
    m, s, q = model.sizes
    rhs = np.eye(model.rows)[m + s + q]
    if model.stage == "sbm":
        rhs[m + s + q + 1 : m + s + q + 1 + model.caps] = 1.0
    slices, at = {}, 0
    for name, (matrix, _) in blocks.items():
        slices[name] = slice(at, at + matrix.shape[1])
        at += matrix.shape[1]
    return PrivateBlock(
        slices,
        np.concatenate([matrix for matrix, _ in blocks.values()], axis=1),
        np.concatenate([cost for _, cost in blocks.values()]),
        rhs,
    )


def _rows(model: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the unit vectors of the input, good, bad, normalisation and cap rows, as columns."""
    m, s, q = model.sizes
    edges = np.cumsum([m, s, q, 1, model.caps])[:-1]
    inputs, good, bad, norm, cap = np.split(np.eye(model.rows)[:, : sum(model.sizes) + 1 + model.caps], edges, axis=1)
    return inputs, good, bad, norm, cap


def _expansion(model: Model) -> np.ndarray:
    """Return the column of t: 1 in the row of the normalisation, 0 in idle rows, -1 in the others."""
    norm, caps = sum(model.sizes), model.caps if model.stage == "sbm" else 0
    column = np.where(np.arange(model.rows) == norm, 1.0, -1.0)
    column[norm + 1 : norm + 1 + caps] = 0.0
    return column[:, None]


def _sbm(model: Model) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    w_x, w_y, w_b = model.weights
    inputs, good, bad, norm, cap = _rows(model)
    scored_in, scored_out = float(model.orientation != "output"), float(model.orientation != "input")
    blocks = {"t": (_expansion(model), np.ones(1))}
    if model.own:
        blocks["own"] = (norm - _expansion(model), np.zeros(1))
    return blocks | {
        "input": (inputs, -scored_in * w_x),
        "good": (-good + scored_out * norm * w_y, np.zeros(w_y.size)),
        "bad": (bad + scored_out * norm * w_b, np.zeros(w_b.size)),
        "cap": (cap, np.zeros(model.caps)),
    }


def _super(model: Model) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    w_x, w_y, w_b = model.weights
    inputs, good, bad, norm, cap = _rows(model)
    blocks = {"t": (_expansion(model), np.ones(1))}
    if model.orientation != "output":
        blocks["input"] = (-inputs, w_x)
    if model.orientation != "input":
        blocks["good"] = (good - norm * w_y + cap, np.zeros(w_y.size))
        blocks["bad"] = (-bad - norm * w_b, np.zeros(w_b.size))
        blocks["cap"] = (cap, np.zeros(w_y.size))
    return blocks | {
        "free_input": (inputs, np.zeros(w_x.size)),
        "free_good": (-good, np.zeros(w_y.size)),
        "free_bad": (bad, np.zeros(w_b.size)),
    }


def starting_basis(model: Model, block: PrivateBlock) -> np.ndarray:
    """Return a nonsingular basis ``[row]`` that needs at most one reference unit, `ANCHOR`."""
    at = {name: list(range(each.start, each.stop)) for name, each in block.slices.items()}
    if model.stage == "sbm":
        anchor = at.get("own", [ANCHOR])
        good = at["good"][1:] if model.returns == "crs" else at["good"]
        return np.array([*at["t"], *anchor, *at["input"], *good, *at["bad"], *at["cap"]])
    # Without reference units the programme is solved by letting good outputs fall to 0, if bad outputs are scored too.
    good = at["good"] if "good" in at and model.weights[2].size else at["free_good"]
    last = [] if model.returns == "crs" else at.get("returns", [ANCHOR])
    return np.array([*at["t"], *at["free_input"], *good, *at["free_bad"], *at.get("cap", []), *last])


def unit_size(values: np.ndarray) -> np.ndarray:
    """Return the geometric mean of each unit's positive values, ``[dmu]``."""
    positive = values > 0
    size: np.ndarray = np.exp(np.log(np.where(positive, values, 1.0)).sum(axis=1) / positive.sum(axis=1))
    return size


def programs(
    model: Model, values: np.ndarray, evaluated: np.ndarray, reference: np.ndarray, *, padded: int
) -> tuple[LinearPrograms, np.ndarray]:
    """Build the programs of some units against a reference set.

    Parameters
    ----------
    model
        The options.
    values
        ``[dmu data]``: inputs, good and bad outputs of all units, of order 1; positive in the rows to evaluate, and with one
        positive value in every row.
    evaluated, reference
        Row numbers of the units to evaluate and of those that span the frontier.
    padded
        Columns of the shared block; those beyond the reference set are not usable.

    Returns
    -------
    tuple
        The batch and a starting basis ``[problem row]``.
    """
    block = private_block(model)
    # A unit's size is taken out of its own column, and put back where returns to scale see it.
    size, own_size = unit_size(values[reference]), unit_size(values[evaluated])
    n_data = values.shape[1]
    shared = np.ones((model.rows, padded))
    shared[n_data:] = 0.0
    row_scale = np.ones((evaluated.size, model.rows))
    shared[:n_data, : reference.size] = (values[reference] / size[:, None]).T
    row_scale[:, :n_data] = own_size[:, None] / values[evaluated]
    if model.returns != "crs":
        shared[-1, : reference.size] = 1.0 / size
        row_scale[:, -1] = own_size
    place = np.full(values.shape[0], -1)
    place[reference] = np.arange(reference.size)
    left_out = place[evaluated]
    basis = np.tile(starting_basis(model, block), (evaluated.size, 1))
    anchor = block.cost.size + (left_out == 0)
    basis = np.where(basis == ANCHOR, anchor[:, None], basis)
    repair, repair_cost = _repair(model)
    return LinearPrograms(
        shared=shared,
        row_scale=row_scale,
        usable=np.arange(padded) < reference.size,
        left_out=left_out,
        private=block.matrix,
        cost_shared=np.zeros(padded),
        cost_private=block.cost,
        rhs=block.rhs,
        repair=repair,
        repair_cost=np.asarray(repair_cost),
    ), basis


def _repair(model: Model) -> tuple[np.ndarray, float]:
    """Return a direction in which the dual point moves inwards: 1 on inputs, the rest on the normalisation.

    SBM: t, the units and the scored slacks gain at least ``1``, ``sum_i x_ij/x_io`` and their weights. Super-SBM: the cost
    factor pays for t and for the input slacks, which the direction would hurt.
    """
    m, s, q = model.sizes
    direction = np.zeros(model.rows)
    direction[:m] = 1.0
    direction[m + s + q] = m + 1.0 if model.stage == "sbm" else -1.0
    # The cost of an input slack is its weight: the factor must outweigh 1 in each.
    return direction, 0.0 if model.stage == "sbm" else max(m + 2.0, 2.0 / model.weights[0].min())
