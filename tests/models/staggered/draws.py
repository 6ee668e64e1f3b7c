"""What resampling schemes draw, for explicit refits."""

import jax.numpy as jnp
import numpy as np

from syneff.models.resampling.assignment import assign, assignment, sample_cohorts
from syneff.models.resampling.bootstrap import draw_copies
from syneff.runtime import draw_keys, key_for


def placebo_treatments(model, panel, draws, *, seed):
    """Return the treatments of the placebo draws."""
    design = model.design(panel)
    cohorts = sample_cohorts(jnp.asarray(panel.column("treat")), design.weights)
    strata = np.zeros(panel.shape[0], dtype=int)
    source = assignment(cohorts, np.asarray(design.weights), strata, "cohorts")
    drawn = [np.asarray(assign(key, source, "cohorts")) for key in draw_keys(key_for(seed, ""), jnp.arange(draws))]
    return [(each[:, None] <= np.arange(panel.shape[1])).astype(float) for each in drawn]


def pairs_weights(units, draws, *, seed):
    """Return how often each unit is drawn."""
    return [np.asarray(draw_copies(key, units)) for key in draw_keys(key_for(seed, ""), jnp.arange(draws))]
