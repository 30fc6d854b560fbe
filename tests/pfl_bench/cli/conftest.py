import pytest

from tests.pfl_bench.cli.tiny import SUITE


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    return str(path)
