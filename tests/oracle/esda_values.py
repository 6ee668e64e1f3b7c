"""Write esda.json: Moran's I and Geary's C by esda, of weights that run one way, are not standardised, or have an island.

Run where esda is installed: python tests/oracle/esda_values.py
"""

import json
from pathlib import Path

import esda
import numpy as np
from libpysal.weights import W

UNITS = 13


def links(island: bool) -> np.ndarray:
    """Return one-way links: to the next three units, weaker the farther, with a unit left out as an island."""
    matrix = np.zeros((UNITS, UNITS))
    for i in range(UNITS):
        for step in (1, 2, 4):
            matrix[i, (i + step) % UNITS] = 1.0 + (i % 3) / step
    if island:
        matrix[5, :] = matrix[:, 5] = 0.0
    return matrix


def values() -> np.ndarray:
    """Return values of three periods."""
    unit = np.arange(UNITS, dtype=float)
    return np.stack([np.sin(unit), np.cos(3 * unit) + unit / 5, np.exp(np.sin(unit / 2))], axis=1)


def of_esda(matrix: np.ndarray, column: np.ndarray, standardise: str) -> dict[str, float]:
    """Return what esda computes."""
    neighbours = {i: np.flatnonzero(matrix[i]).tolist() for i in range(UNITS)}
    weights = W(neighbours, {i: matrix[i, near].tolist() for i, near in neighbours.items()}, silence_warnings=True)
    how = "r" if standardise == "row" else "o"
    moran = esda.Moran(column, weights, transformation=how, permutations=0)
    geary = esda.Geary(column, weights, transformation=how, permutations=0)
    return {
        "moran": moran.I,
        "moran_mean": moran.EI,
        "moran_sd": moran.VI_rand**0.5,
        "moran_z": moran.z_rand,
        "moran_p": moran.p_rand,
        "moran_sd_normal": moran.VI_norm**0.5,
        "moran_z_normal": moran.z_norm,
        "moran_p_normal": moran.p_norm,
        "geary": geary.C,
        "geary_mean": geary.EC,
        "geary_sd": geary.VC_rand**0.5,
        "geary_z": geary.z_rand,
        "geary_sd_normal": geary.VC_norm**0.5,
        "geary_z_normal": geary.z_norm,
    }


if __name__ == "__main__":
    cases = [
        {
            "standardise": standardise,
            "links": links(island).tolist(),
            "values": values().tolist(),
            "expected": [of_esda(links(island), column, standardise) for column in values().T],
        }
        for standardise in ("row", "none")
        for island in (False, True)
    ]
    text = json.dumps({"esda": esda.__version__, "cases": cases}, separators=(",", ":"))
    Path(__file__).with_name("esda.json").write_text(text + "\n", encoding="utf-8")
