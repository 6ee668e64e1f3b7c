"""Axis vocabulary: the names that array shapes are written in.

Every shape in the project is spelled with these axes, so that a signature reads as the algebra does:

============  ==========================================================
axis          meaning
============  ==========================================================
``unit``      cross-sectional unit (a city)
``period``    period (a year)
``k``         regressor, or coefficient
``term``      coefficient, constants included
``draw``      draw of a resampling scheme
``dmu``       decision-making unit (a city-year, in DEA)
``input``     input of a technology
``good``      desirable output
``bad``       undesirable output
``problem``   linear program of a batch
``row``       constraint of a linear program
``column``    shared variable of a batch of linear programs
``private``   variable that each program of a batch has for itself
============  ==========================================================
"""

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

UnitPeriod = Float[Array, "unit period"]
UnitPeriodK = Float[Array, "unit period k"]
Draws = Float[Array, "draw unit period"]
HostUnitPeriod = Float[np.ndarray, "unit period"]
HostTrait = Shaped[np.ndarray, " unit"]
Key = Shaped[Array, ""]

__all__ = [
    "Array",
    "Bool",
    "Draws",
    "Float",
    "HostTrait",
    "HostUnitPeriod",
    "Int",
    "Key",
    "Shaped",
    "UnitPeriod",
    "UnitPeriodK",
]
