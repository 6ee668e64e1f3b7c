r"""What the scores behind an outcome look like, beside the estimate that is made with them.

An index of efficiency scores depends on the technology that they are measured under, so an estimate under another technology
is read together with the scores: their moments, how many city-years have none, how far a few of them stand from the others
(min-max standardising hands those the scale), and whether they rank the city-years as a benchmark does.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from scipy import stats

from syneff.models.base import Estimate, Estimator
from syneff.models.description import Describe
from syneff.panel.panel import Panel

HIGH = 1.5  # scores above it are counted
TIED = 1e-6  # how near to the highest score another counts as equal to it
TOP = 0.01  # share of the scores whose part of the range is reported


@dataclass(frozen=True)
class ScoreSummary:
    """Estimate a model, and summarise the scores behind its outcome.

    Attributes
    ----------
    model
        The estimator.
    scores
        Columns of efficiency scores that its outcome is made of; its outcome itself where that is a score.
    benchmark
        The column that the outcome is compared with by ranks.
    """

    model: Estimator
    scores: tuple[str, ...]
    benchmark: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", tuple(self.scores))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return the model's estimate; the summary is in its `stats`.

        Parameters
        ----------
        panel
            The data; what is summarised are its rows of positive weight.
        seed, name
            Derive the random key of models that draw.

        Returns
        -------
        Estimate
            With ``mean:<column>``, ``sd:``, ``min:``, ``max:``, ``n:`` and ``missing:`` (rows without a value) of the scores
            and the outcome; with ``high:<score>`` (scores above 1.5), ``tied:`` (scores equal to the highest: several of them
            stand at an upper bound) and ``top:`` (the part of the range that the top 1 % of the scores take); and with
            ``rank_correlation``, Spearman's, of outcome and benchmark.

        Raises
        ------
        DataError
            If a column is unknown or has no value in the sample.
        """
        outcome = self.model.spec.outcome
        columns = tuple(dict.fromkeys((*self.scores, outcome)))
        moments = Describe(columns).estimate(panel)
        found = dict(zip(moments.names, np.asarray(moments.coef).tolist(), strict=True))
        found |= {f"missing:{each}": panel.sample.sum() - found[f"n:{each}"] for each in columns}
        for each in self.scores:
            found |= {f"{key}:{each}": value for key, value in _extremes(_known(panel, each)).items()}
        found["rank_correlation"] = rank_correlation(_sampled(panel, outcome), _sampled(panel, self.benchmark))
        actual = self.model.estimate(panel, seed=seed, name=name)
        return replace(
            actual, stats={**actual.stats, **{key: jnp.asarray(float(value)) for key, value in found.items()}}
        )


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation over the rows that have both values; NaN where there are none, or one is constant."""
    both = np.isfinite(first) & np.isfinite(second)
    if min((np.unique(each[both]).size for each in (first, second)), default=0) < 2:
        return float("nan")
    return float(stats.spearmanr(first[both], second[both]).statistic)


def _extremes(scores: np.ndarray) -> dict[str, float]:
    """Count high scores and those equal to the highest; say what part of the range the top takes (NaN without a range)."""
    ordered = np.sort(scores)
    below = ordered[max(ordered.size - 1 - int(np.ceil(TOP * ordered.size)), 0)]
    extent = ordered[-1] - ordered[0]
    return {
        "high": float((ordered > HIGH).sum()),
        "tied": float((ordered >= ordered[-1] - TIED).sum()),
        "top": float((ordered[-1] - below) / extent) if extent > 0 else float("nan"),
    }


def _sampled(panel: Panel, name: str) -> np.ndarray:
    return np.asarray(panel.column(name)[panel.sample])


def _known(panel: Panel, name: str) -> np.ndarray:
    values = _sampled(panel, name)
    return np.asarray(values[np.isfinite(values)])
