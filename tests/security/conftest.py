"""The walker's world."""

import pytest

from tests.cast import cast  # noqa: F401
from tests.security.walk import Walk
from tests.web.work import Work, work  # noqa: F401


@pytest.fixture
def walk(work: Work) -> Walk:  # noqa: F811
    return Walk(work)
