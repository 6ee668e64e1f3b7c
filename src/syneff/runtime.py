"""The numerical environment: float64, devices, chunk sizes, random keys.

Importing this module turns 64-bit floats on. Linear programs are wrong by 0.1 in float32, so every entry point calls
`require_float64` and nothing in the project turns it off again.

Randomness is a key: the key of draw *d* of an experiment is ``fold_in(key_for(seed, name), d)``, so a draw is the same
whatever the chunk, the device or the number of devices that computes it.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp

from syneff.errors import DeviceError
from syneff.typing import Array, Int, Key, Shaped

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_default_matmul_precision", "highest")
logging.getLogger("jax").setLevel(logging.WARNING)


def require_float64() -> None:
    """Raise unless JAX computes in 64-bit floats.

    Raises
    ------
    DeviceError
        If someone turned ``jax_enable_x64`` off after `syneff` was imported.
    """
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise DeviceError(
            "JAX computes in float32, where linear programs are wrong by 0.1. "
            "Remove jax.config.update('jax_enable_x64', False), or import syneff after it."
        )


def configure(platform: str = "cpu", compilation_cache: bool = True) -> list[str]:
    """Choose the platform and return the names of its devices.

    Parameters
    ----------
    platform
        "cpu" or "gpu". A GPU that is asked for and missing is an error, never a silent CPU.
    compilation_cache
        Keep compiled programs in the user's own cache directory between processes.

    Returns
    -------
    list of str
        The devices, as JAX names them.

    Raises
    ------
    DeviceError
        If no device of the platform is there.
    """
    require_float64()
    if compilation_cache:
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    try:
        devices = jax.local_devices(backend=platform)
    except RuntimeError as error:
        found = ", ".join(str(device) for device in jax.devices())
        raise DeviceError(
            f"compute={platform}: no such device here (found: {found}). "
            "Install the extra 'gpu' or 'gpu12' on a machine with a GPU, or use compute=cpu."
        ) from error
    jax.config.update("jax_default_device", devices[0])
    return [str(device) for device in devices]


def computing_devices() -> list[jax.Device]:
    """Return the devices that JAX computes on: all of the chosen platform."""
    default = jax.config.jax_default_device  # type: ignore[attr-defined]
    devices: list[jax.Device] = jax.local_devices(backend=None if default is None else default.platform)
    return devices


def device_names() -> list[str]:
    """Return the devices that JAX computes on, as it names them."""
    return [f"{device.platform}:{device.device_kind}" for device in computing_devices()]


def join_processes() -> int:
    """Compute together with the other tasks of a SLURM job, which JAX finds by itself; return this one's number.

    Every process must compute the same cells in the same order.
    """
    jax.distributed.initialize()
    return int(jax.process_index())


_divisor = 1


def chunk_divisor() -> int:
    """Return what chunk sizes are to be divided by: more than 1 after memory did not suffice."""
    return _divisor


@contextmanager
def smaller_chunks(divisor: int) -> Iterator[None]:
    """Let everything be computed in smaller chunks; results do not depend on it."""
    global _divisor
    before, _divisor = _divisor, divisor
    jax.clear_caches()  # the size of a chunk is part of a compiled program
    try:
        yield
    finally:
        _divisor = before


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that the memory of host or device did not suffice."""
    return isinstance(error, MemoryError) or (
        isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )


def cache_directory() -> Path:
    """Return the per-user cache directory of syneff."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "syneff"


def key_for(seed: int, name: str) -> Key:
    """Derive the random key of an experiment.

    Parameters
    ----------
    seed
        The user's seed.
    name
        The experiment's name; two experiments of one seed draw independently.

    Returns
    -------
    Key
        A typed JAX key.
    """
    digest = hashlib.sha256(name.encode()).digest()[:4]
    return jax.random.fold_in(jax.random.key(seed), int.from_bytes(digest, "big"))


def draw_keys(key: Key, draws: Int[Array, " draw"]) -> Shaped[Array, " draw"]:
    """Return the key of each draw, by its number."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, draws.astype(jnp.uint32))
