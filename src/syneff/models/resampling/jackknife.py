r"""The cluster jackknife: estimate with each cluster left out.

.. math:: V_{CRV3} = \frac{G-1}{G} \sum_g (b_{(g)} - b)(b_{(g)} - b)'

References
----------
MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023). Journal of Applied Econometrics 38, 671-694.
https://doi.org/10.1002/jae.2969
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError
from syneff.models.audit import audit_inside
from syneff.models.base import Audit, Design, Estimate, Estimator
from syneff.models.resampling.draws import Resampled, resampled_clusters, run_draws
from syneff.panel.panel import Panel
from syneff.typing import Array, Int


@dataclass(frozen=True)
class Jackknife:
    """Estimate with each cluster left out in turn (CRV3).

    Attributes
    ----------
    model
        The estimator; its clusters (units, if none) are left out whole.
    chunk
        Fits at a time; without effect on the results. What suits the device if None.
    """

    model: Estimator
    chunk: int | None = None

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 1:
            raise SpecError(f"Jackknife: chunk={self.chunk} must be 1 or more, or null for what suits the device.")

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and again without each cluster.

        Parameters
        ----------
        panel
            The data.
        seed, name
            For models that draw.

        Returns
        -------
        Estimate
            With the jackknife's covariance, t statistics of G - 1 degrees of freedom, and the estimates without each
            cluster as `draws`. A term that one cluster alone identifies has no standard error; a note names the cluster.

        Raises
        ------
        SpecError
            If a cluster is not constant within units.
        """
        actual = self.model.estimate(panel, seed=seed, name=name)
        design = self.model.design(panel)
        clusters = resampled_clusters("Jackknife", panel, design, self.model.spec)
        left_out = leave_one_out(self.model, design, clusters, chunk=self.chunk)
        estimate = actual.of_terms(left_out.names)
        count = len(clusters.names)
        gaps = left_out.coef - estimate.coef[None]
        lost = [
            f"no standard error of {term}: without {clusters.names[int(np.argmax(gone))]} it cannot be estimated"
            for term, gone in zip(left_out.names, np.isnan(np.asarray(gaps)).T, strict=True)
            if gone.any() and not gone.all()
        ]
        return replace(
            estimate,
            cov=(count - 1.0) / count * gaps.T @ gaps,
            dof=jnp.asarray(count - 1.0),
            draws=left_out,
            notes=(*estimate.notes, *clusters.notes, *lost),
        )

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit inside; see `syneff.models.audit`."""
        return audit_inside(self.model, panel)


def leave_one_out(model: Estimator, design: Design, clusters: Resampled, *, chunk: int | None) -> Estimate:
    """Return the estimates without each cluster, with leading axis ``cluster``."""
    common = (design, jnp.asarray(clusters.codes))
    found: Estimate = run_draws(partial(_step, model), common, len(clusters.names), chunk=chunk, of="clusters left out")
    return found


@partial(jax.jit, static_argnums=0)
def _step(model: Estimator, common: tuple[Design, Int[Array, " unit"]], numbers: Int[Array, " cluster"]) -> Estimate:
    design, codes = common
    weights = (codes[None, :] != numbers[:, None]).astype(float)
    fitted = model.fit_weights(design, weights)
    # Nobody asks for the standard errors of a sample without one cluster; without them a fit takes half the time.
    return replace(fitted, cov=jnp.full_like(fitted.cov, jnp.nan), tests=())
