"""Interior."""

from syneff.numerics.simplex import solve as solve
