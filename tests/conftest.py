"""What every test needs: strict dtypes and ranks, runtime shape checks, and the folder of outside values."""

import os
from collections.abc import Iterator
from pathlib import Path

# Shape checks must be installed before any module of the package is imported.
from jaxtyping import install_import_hook

install_import_hook("syneff", "beartype.beartype")

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiling takes most of the time: programs are kept between the processes of a run, and between runs.
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(scope="module", autouse=True)
def forget_programs() -> Iterator[None]:
    """Let go of a file's compiled programs: each holds memory maps, of which a process may have 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of oracles and real data; skip where it is absent, fail where CI should have it."""
    folder = Path(os.environ.get("SYNEFF_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not folder.is_dir():
        message = f"{folder} is absent: set SYNEFF_SHARED to the folder of oracles and data"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
