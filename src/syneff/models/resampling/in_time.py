"""Placebo in time: pretend that the policy came earlier, on the years before it came.

Rows from adoption on are left out, and treatment begins ``lead`` periods too early. Nothing happened then, so an estimate far
from zero is anticipation, or trends that were not parallel.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError, SpecError
from syneff.models.audit import join_audits
from syneff.models.base import Audit, Estimate, Estimator
from syneff.models.design import treatment_path
from syneff.panel.panel import Panel


@dataclass(frozen=True)
class PlaceboInTime:
    """Estimate with adoption some periods early, on rows before the real adoption.

    Attributes
    ----------
    model
        The estimator; its treatment is 0 before and 1 from adoption on.
    leads
        Periods by which the fake adoption is early, one estimate each.
    """

    model: Estimator
    leads: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        object.__setattr__(self, "leads", tuple(self.leads))
        if not self.leads or min(self.leads) < 1 or len(set(self.leads)) < len(self.leads):
            raise SpecError(
                f"PlaceboInTime: leads={list(self.leads)} must be different periods, 1 or more, e.g. [1, 2, 3]."
            )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate once for each lead; the terms are ``lead[1]``, ``lead[2]``, ...

        Parameters
        ----------
        panel
            The data.
        seed, name
            For models that draw.

        Returns
        -------
        Estimate
            One term a lead. The fits are separate, so covariances between terms are NaN.

        Raises
        ------
        DataError
            If no unit is seen before its adoption.
        """
        term = self.model.spec.treatment
        fits = [
            self.model.estimate(fake, seed=seed, name=name).of_terms((term,)) for fake in self._early(panel).values()
        ]
        cov = np.full((len(fits), len(fits)), np.nan)
        np.fill_diagonal(cov, [float(each.cov[0, 0]) for each in fits])
        path = np.asarray(treatment_path(panel, self.model.spec)) > 0
        rows = int((path & panel.sample).sum())
        said = (f"{rows} rows from adoption on left out: the placebo in time looks at the years before", *fits[0].notes)
        return replace(
            fits[0],
            coef=jnp.asarray([float(each.coef[0]) for each in fits]),
            cov=jnp.asarray(cov),
            dof=jnp.asarray([float(each.term_dof[0]) for each in fits]),
            stats={},
            tests=(),
            names=tuple(f"lead[{lead}]" for lead in self.leads),
            notes=said,
        )

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit of each lead; see `syneff.models.audit`."""
        found = {
            f"lead[{lead}]": self.model.audit(fake, self.model.estimate(fake))
            for lead, fake in self._early(panel).items()
        }
        done = {name: audit for name, audit in found.items() if audit is not None}
        return join_audits(done) if len(done) == len(found) else None

    def _early(self, panel: Panel) -> dict[int, Panel]:
        """Return the rows before adoption with a treatment that comes too early, by lead."""
        path = np.asarray(treatment_path(panel, self.model.spec)) > 0
        before = panel.reweight(np.where(path, 0.0, panel.weights))
        fakes = {}
        for lead in self.leads:
            early = np.zeros_like(path)
            early[:, :-lead] = path[:, lead:]
            early = np.logical_or.accumulate(early, axis=1)
            if not (early & ~path & panel.sample).any():
                raise DataError(
                    f"PlaceboInTime: no treated unit is seen {lead} periods or fewer before adoption. "
                    "Use a sample with years before the policy."
                )
            fakes[lead] = before.assign({self.model.spec.treatment: early.astype(float)})
        return fakes
