"""Mistakes of the user's, in one message: what is wrong, which value, what is allowed, how to mend it."""

import re
from collections.abc import Iterable

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from syneff import command, nodes
from syneff.configuration import Config
from syneff.errors import SyneffError, unknown_name
from syneff.ledger import Outcome


def explain(error: BaseException) -> str | None:
    """Return the message for a mistake of the user's, or None for any other error."""
    chain = []
    each: BaseException | None = error
    while each is not None:
        chain.append(each)
        each = each.__cause__ or each.__context__
    for each in chain:
        if isinstance(each, SyneffError):
            return str(each)
        if isinstance(each, ModuleNotFoundError) and each.name in ("submitit", "joblib"):
            return _not_installed(each.name)
    for each in chain:
        if isinstance(each, MissingConfigException) and each.options is not None:
            return _explain_choice(each)
        if isinstance(each, MissingMandatoryValue):
            name = str(each.full_key or each).rpartition(" ")[2]
            return f"{name} is not set. Give it: {name}=..."
    if any(isinstance(each, HydraException | OmegaConfBaseException) for each in chain):
        return _explain_hydra(chain)
    return None


def is_interrupt(error: BaseException | None) -> bool:
    """Say whether an error is what a library made of Ctrl-C: it came while the library was handling its own affairs."""
    if error is None or isinstance(error, KeyboardInterrupt):
        return error is not None
    return is_interrupt(error.__cause__) or is_interrupt(error.__context__)


def _explain_choice(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if group == "hydra/launcher":
        return _not_installed(name)
    return unknown_name(group or "configuration", name, error.options or ())


def _not_installed(name: str) -> str:
    package = "'syneff[slurm]'" if name.startswith("submitit") else f"hydra-{name}-launcher"
    return f"launcher {name!r} is not installed. Install it: pip install {package}; or use launcher=local."


_KINDS = {
    int: "a whole number",
    bool: "true or false",
    DictConfig: "a mapping {name: value}",
    ListConfig: "a list [...]",
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
}


def _explain_hydra(chain: list[BaseException]) -> str:
    for each in chain:
        if isinstance(each, OverrideParseException):
            return command.unreadable(each.override)
        if isinstance(each, ValidationError) and each.full_key:
            default = OmegaConf.select(OmegaConf.structured(Config), each.full_key)
            example = f" Set for instance {each.full_key}={str(default).lower()}." if isinstance(default, int) else ""
            asked = re.search(r"could not be converted to (\w+)", str(each))  # of a key that is Hydra's own
            kind = _KINDS.get(type(default)) or _KINDS.get(asked[1] if asked else "", "text")
            return f"{each.full_key} must be {kind}, not {each.value!r}.{example}"
        if isinstance(each, InterpolationKeyError) and (
            missing := re.match(r"Interpolation key '(.*)' not", str(each))
        ):
            return f"{each.full_key} is taken from {missing[1]}, which is not there. Set {each.full_key}=... itself."
        if ambiguous := re.match(r"Ambiguous value for argument '(.*)'", str(each)):
            return f"{ambiguous[1]}: several values make several cells, but one is asked for. Give one value."
        if isinstance(each, ConfigKeyError | ConfigAttributeError) and isinstance(each.parent_node, DictConfig):
            known = [str(key) for key in each.parent_node if key not in ("hydra", *nodes.RESERVED)]
            where = str(each.full_key).rpartition(".")[0]
            return unknown_name(
                f"option{' of ' + where if where else ''}", str(each.key), known, "syneff --cfg job shows all."
            )
    said = [str(each).strip().splitlines()[0] for each in chain if str(each).strip()]
    return ". ".join(dict.fromkeys(said[:2]))


def complaints(ended: Iterable[Outcome], *, several: bool) -> list[str]:
    """Return each message of some cells once, and with `several` the cells that it is about before it."""
    messages: dict[str, list[str]] = {}
    for each in ended:
        if each.message:
            messages.setdefault(each.message, []).append(each.cell)
    about = {
        message: f"{', '.join(cells[:8])}{', ...' if len(cells) > 8 else ''}: " for message, cells in messages.items()
    }
    return [f"{cells if several else ''}{message}" for message, cells in about.items()]
