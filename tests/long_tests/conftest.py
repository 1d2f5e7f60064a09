"""What the slow tests share."""

from collections.abc import Iterator

import pytest

from tests.long_tests.postgres import running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL database that lives as long as the tests."""
    with running_postgres() as address:
        yield address
