import pytest

from pfl_bench.errors import RequestError
from pfl_bench.spec.options import check_device, split_address


@pytest.mark.parametrize(
    "name",
    [
        "cpu:1",
        "cuda:",
        "cuda:-1",
        "cuda:\u0663",
        "cuda:1000",
        "cuda:00",
        "cuda:01",
        "cuda:128",
        "cuda:256",
        "mps:0",
        "",
        "gpu",
        "x" * 9999,
    ],
)
def test_what_is_no_device(name):
    with pytest.raises(RequestError, match="^--device: .* must be auto, cpu, cuda, cuda:N or mps$") as caught:
        check_device(name, "--device")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:15", "cuda:127", "mps"])
def test_devices(name):
    check_device(name)


@pytest.mark.parametrize(
    "address",
    ["a", ":1", "a:", "a:b", "a:\u0663", "a:\u00b2", "a:0", "a:65536", "a..b:1", "..:1", "\u00e9:1", "http://a:1",
     "a b:1", f"{'a' * 64}:1", "[::1]:x", "x" * 9999],
)  # fmt: skip
def test_what_is_no_address(address):
    with pytest.raises(RequestError, match="must be HOST:PORT, ray://HOST:PORT or auto$") as caught:
        split_address(address)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("address", "place"),
    [("10.0.0.1:6379", ("10.0.0.1", 6379)), ("ray://head-1.cluster:10001", ("head-1.cluster", 10001)),
     ("[::1]:80", ("::1", 80)), ("auto", None), ("local", None)],
)  # fmt: skip
def test_addresses(address, place):
    assert split_address(address) == place
