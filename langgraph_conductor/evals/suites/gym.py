"""Items of reasoning-gym, of the one version the suite is made with.

Source: Stojanovski et al. 2025, Reasoning Gym (arXiv 2505.24760).
"""

import contextlib
import io
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from langgraph_conductor.errors import ConfigError

VERSION = "0.1.25"
"""Another version may make other items of the same seed."""

_SIZE = 5_000
"""More than is ever taken of one dataset; items are made when they are asked for, and none depends on it."""


def check_version() -> None:
    """See that reasoning-gym is there, and in the right version.

    Raises:
        ImportError: If it is not installed.
        ConfigError: If it is another version.
    """
    install = "pip install 'langgraph-conductor[eval]'"
    try:
        found = version("reasoning-gym")
    except PackageNotFoundError:
        raise ImportError(
            f"the suite's questions come from reasoning-gym, which is missing: {install}"
        ) from None
    if found != VERSION:
        raise ConfigError(
            f"the suite is made with reasoning-gym {VERSION}; the installed {found} may ask others: "
            f"{install}"
        )


def entries(family: str, seed: int, **config: Any) -> Iterator[dict[str, Any]]:
    """The items of a family, from one seed on.

    Item `i` is made from `seed + i`: seeds must be further apart than items are taken.

    Args:
        family: Name of the dataset, such as `"chain_sum"`.
        seed: Of the first item.
        config: The dataset's own options.
    """
    import reasoning_gym

    dataset = reasoning_gym.create_dataset(family, seed=seed, size=_SIZE, **config)
    for index in range(_SIZE):
        with contextlib.redirect_stdout(io.StringIO()):  # bf's compiler prints a dot for each program
            item = dataset[index]
        yield item


def entry(family: str, seed: int, **config: Any) -> dict[str, Any]:
    """The item of one seed."""
    return next(entries(family, seed, **config))
