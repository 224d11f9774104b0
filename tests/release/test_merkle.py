"""The hash tree, against RFC 6962's own vectors and its recursive definition."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivet.release.merkle import NO_PEAKS, grow, leaf_hash, root

# The eight leaves and nine roots that the implementations of RFC 6962 are tested with.
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

Contents = st.lists(st.binary(max_size=8), max_size=70)


def peaks_of(contents: list[bytes]) -> bytes:
    peaks = NO_PEAKS
    for size, content in enumerate(contents):
        peaks = grow(peaks, size, leaf_hash(content))
    return peaks


def defined_root(contents: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not contents:
        return hashlib.sha256(b"").digest()
    if len(contents) == 1:
        return hashlib.sha256(b"\x00" + contents[0]).digest()
    split = 1
    while split * 2 < len(contents):
        split *= 2
    left, right = defined_root(contents[:split]), defined_root(contents[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_reference_vectors(size: int) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in LEAVES[:size]]
    assert root(peaks_of(leaves)).hex() == ROOTS[size]


@given(Contents)
def test_the_root_is_the_one_that_the_definition_gives(contents: list[bytes]) -> None:
    assert root(peaks_of(contents)) == defined_root(contents)


@given(Contents)
def test_there_is_a_peak_for_each_bit_of_the_size(contents: list[bytes]) -> None:
    assert len(peaks_of(contents)) == 32 * len(contents).bit_count()
