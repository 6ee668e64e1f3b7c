r"""Epsilon-based measure: one radial factor and slacks beyond it, weighed against each other (EBM).

Tone and Tsutsui (2010, doi:10.1016/j.ejor.2010.07.014) take the part of the slacks, ``epsilon``, and their weights from the
data. With bad outputs scored with the outputs, and every row divided by the evaluated unit's own value,

.. math::

    \min \frac{\theta - \epsilon_x \sum_i w_i s^-_i}{\eta + \epsilon_y (\sum_r w_r s^+_r + \sum_h w_h s^b_h)}
    \quad\text{s.t.}\quad
    \sum_j \tfrac{x_{ij}}{x_{io}} \lambda_j + s^-_i = \theta, \\
    \sum_j \tfrac{y_{rj}}{y_{ro}} \lambda_j - s^+_r = \eta, \quad
    \sum_j \tfrac{b_{hj}}{b_{ho}} \lambda_j + s^b_h = 2 - \eta, \quad \theta \le 1 \le \eta .

Input orientation minimises the numerator alone and output orientation maximises the denominator alone; ``theta`` or ``eta`` is
then free, as in the paper, and the rows of the other side are inequalities at ``1``. So a bad output falls by the share by
which good ones rise, as along the direction of a directional distance. With ``bads="inputs"`` bad outputs are simply further
inputs. The form often printed, in which a bad output may *rise* with ``eta``, rewards pollution and is not offered.

Epsilon and the weights come from the affinities of the variables, see `syneff.measure.affinity`, once the rows are projected
onto their frontier by SBM under variable returns.

Bounds: with ``epsilon = 0`` the measure is the radial one of Charnes, Cooper and Rhodes (of Banker, Charnes and Cooper under
variable returns). The non-oriented measure with both 1 is SBM with the same weights. Oriented measures fall as epsilon
rises; with 1 and the factor held at 1 they would be oriented SBM, so with the factor free they are at most that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from syneff.errors import SpecError, one_of
from syneff.measure.affinity import affinity
from syneff.measure.efficiency import BADS, ORIENTATIONS, slacks_based
from syneff.measure.envelopment import Answer, describe, solve
from syneff.measure.epsilon_programs import PROGRAMS
from syneff.measure.stages import SOLVERS
from syneff.measure.technology import Technology
from syneff.runtime import require_float64
from syneff.typing import Float, Int

Weights = Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class EpsilonBased:
    """Scores with the proof that belongs to them, and what weighed radial factor against slacks.

    Scores are unique; factors and slacks need not be, and are those of one optimal vertex. The target is
    ``theta x - slack_inputs`` and ``eta y + slack_good``; a bad output's is ``(2 - eta) b - slack_bad``, or
    ``theta b - slack_bad`` if it is scored with the inputs.

    Attributes
    ----------
    score
        ``[dmu]``; NaN where the program is infeasible.
    status
        ``[dmu]``: `Status` codes.
    gap
        ``[dmu]``: objective less a lower bound proved by a dual point that prices every reference unit.
    theta, eta
        ``[dmu]``: radial factors; 1 where the orientation has none.
    slack_inputs, slack_good, slack_bad
        ``[dmu input]`` and so on, in the units of the data; 0 or more.
    epsilon
        ``epsilon_x`` and ``epsilon_y``.
    weights
        Of the slacks by "inputs", "good", "bad".
    returns
        Returns to scale, for the messages.
    """

    score: Float[np.ndarray, " dmu"]
    status: Int[np.ndarray, " dmu"]
    gap: Float[np.ndarray, " dmu"]
    theta: Float[np.ndarray, " dmu"]
    eta: Float[np.ndarray, " dmu"]
    slack_inputs: Float[np.ndarray, "dmu input"]
    slack_good: Float[np.ndarray, "dmu good"]
    slack_bad: Float[np.ndarray, "dmu bad"]
    epsilon: tuple[float, float]
    weights: Mapping[str, np.ndarray]
    returns: str

    def summary(self, names: Sequence[object] | None = None) -> str:
        """Say in a sentence how the programs ended, and the parts of slacks; `names` are those of the rows."""
        ended = describe(self.status, self.gap, self.returns, names)
        return f"epsilon {self.epsilon[0]:.4f} of inputs, {self.epsilon[1]:.4f} of outputs; {ended}"


def epsilon_based(
    technology: Technology,
    orientation: str = "none",
    bads: str = "outputs",
    solver: str = "interior_point",
    *,
    epsilon: Sequence[float] | None = None,
    weights: Weights | None = None,
) -> EpsilonBased:
    """Measure epsilon-based efficiency of every unit.

    Parameters
    ----------
    technology
        Data, returns to scale and reference set.
    orientation
        "none", "input" or "output".
    bads
        "outputs": bad outputs are scored with the good ones; "inputs": with the inputs.
    solver
        "interior_point" or "simplex"; both end in the same certificate.
    epsilon
        ``epsilon_x`` and ``epsilon_y``, each from 0 (radial only) to 1; from the affinities if None.
    weights
        Relative weights of the slacks by "inputs", "good", "bad", divided by their sums over each side; equal in a block
        that is left out; from the affinities if None.

    Returns
    -------
    EpsilonBased
        Scores, statuses, gaps, factors, slacks, epsilon and weights.

    Raises
    ------
    SpecError
        If an option, a weight or an epsilon is not allowed.
    """
    require_float64()
    for name, value, allowed in (
        ("orientation", orientation, ORIENTATIONS),
        ("bads", bads, BADS),
        ("solver", solver, SOLVERS),
    ):
        one_of(name, value, allowed)
    blocks = {name: np.asarray(getattr(technology, name)) for name in ("inputs", "good", "bad")}
    sides = (("inputs", "bad"), ("good",)) if bads == "inputs" else (("inputs",), ("good", "bad"))
    given = _given_epsilon(epsilon)
    relative = _given_weights(weights, blocks, sides)
    if given is None or relative is None:
        derived = _from_affinity(technology, sides, bads, solver)
        given, relative = given or derived[0], relative or derived[1]
    sizes = (blocks["inputs"].shape[1], blocks["good"].shape[1], blocks["bad"].shape[1])
    costs = [given[0] * relative["inputs"], given[1] * relative["good"]]
    costs.append((given[0] if bads == "inputs" else given[1]) * relative["bad"])
    program = PROGRAMS[orientation](sizes, costs, technology.returns, bads)
    data = np.concatenate(list(blocks.values()), axis=1)
    answer = solve(program, data, technology.groups, solver=solver)
    return _read(answer, orientation, blocks, (given, relative), technology.returns)


def _from_affinity(
    technology: Technology, sides: Sequence[Sequence[str]], bads: str, solver: str
) -> tuple[tuple[float, float], dict[str, np.ndarray]]:
    """Return epsilon and the weights from the rows' projections onto their frontier."""
    plain = slacks_based(replace(technology, returns="vrs"), super_efficiency=False, bads=bads, solver=solver)
    target = {
        "inputs": np.asarray(technology.inputs) - plain.slack_inputs,
        "good": np.asarray(technology.good) + plain.slack_good,
        "bad": np.asarray(technology.bad) - plain.slack_bad,
    }
    reached = ~np.isnan(plain.score)
    found: list[float] = []
    weights: dict[str, np.ndarray] = {}
    for side in sides:
        part, weight = affinity(np.concatenate([target[name] for name in side], axis=1)[reached])
        found.append(part)
        edges = np.cumsum([target[name].shape[1] for name in side])[:-1]
        weights |= dict(zip(side, np.split(weight, edges), strict=True))
    return (found[0], found[1]), weights


def _given_epsilon(epsilon: Sequence[float] | None) -> tuple[float, float] | None:
    """Check the epsilon of a user."""
    if epsilon is None:
        return None
    pair = tuple(float(each) for each in epsilon)
    if len(pair) != 2 or not all(0.0 <= each <= 1.0 for each in pair):
        raise SpecError(f"epsilon={list(epsilon)} must be two numbers from 0 to 1: of the inputs, and of the outputs.")
    return pair[0], pair[1]


def _given_weights(
    weights: Weights | None, blocks: Mapping[str, np.ndarray], sides: Sequence[Sequence[str]]
) -> dict[str, np.ndarray] | None:
    """Check the weights of a user, and divide them by their sums over each side."""
    if weights is None:
        return None
    for name in weights:
        one_of("weights", name, blocks)
    found = {}
    for name, block in blocks.items():
        weight = np.asarray(weights.get(name, np.ones(block.shape[1])), dtype=float)
        if weight.shape != block.shape[1:] or not np.all(np.isfinite(weight) & (weight > 0)):
            raise SpecError(
                f"weights[{name!r}] must be {block.shape[1]} positive numbers, one a variable, not {weight}."
            )
        found[name] = weight
    return {name: found[name] / sum(found[each].sum() for each in side) for side in sides for name in side}


def _read(
    answer: Answer,
    orientation: str,
    blocks: Mapping[str, np.ndarray],
    options: tuple[tuple[float, float], Mapping[str, np.ndarray]],
    returns: str,
) -> EpsilonBased:
    """Turn a program's variables into scores, factors and slacks."""
    values = answer.values
    score, expansion = answer.objective, np.ones_like(answer.objective)
    theta = eta = np.where(np.isnan(score), np.nan, 1.0)
    if orientation == "input":
        theta = values["theta"][:, 0]
    elif orientation == "output":
        score, eta = -1.0 / answer.objective, values["eta"][:, 0]
    else:
        expansion = values["t"][:, 0]
        theta, eta = 1.0 - values["fall"][:, 0] / expansion, 1.0 + values["rise"][:, 0] / expansion
    slacks = values["slack"] / expansion[:, None] * np.concatenate(list(blocks.values()), axis=1)
    edges = np.cumsum([block.shape[1] for block in blocks.values()])[:-1]
    inputs, good, bad = np.split(slacks, edges, axis=1)
    return EpsilonBased(
        score, answer.status, answer.gap, theta, eta, inputs, good, bad, options[0], options[1], returns
    )
