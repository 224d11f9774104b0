"""The hash tree, against RFC 6962's own vectors and its recursive definition."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivet.release.merkle import NO_PEAKS, audit_path, grow, leaf_hash, root, root_by_path

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


def defined_path(index: int, contents: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1, word for word."""
    if len(contents) == 1:
        return []
    split = 1
    while split * 2 < len(contents):
        split *= 2
    if index < split:
        return [*defined_path(index, contents[:split]), defined_root(contents[split:])]
    return [*defined_path(index - split, contents[split:]), defined_root(contents[:split])]


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70), st.data())
def test_a_path_is_the_one_that_the_definition_gives_and_leads_to_the_root(
    contents: list[bytes], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(contents)))
    index = data.draw(st.integers(0, size - 1))
    path = audit_path(_log(contents), index, size)
    assert list(path) == defined_path(index, contents[:size])
    assert root_by_path(leaf_hash(contents[index]), index, size, path) == defined_root(contents[:size])


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_another_leaf_index_size_or_path_leads_elsewhere(contents: list[bytes], data: st.DataObject) -> None:
    size = len(contents)
    index = data.draw(st.integers(0, size - 1))
    path = audit_path(_log(contents), index, size)
    whole = defined_root(contents)
    assert root_by_path(leaf_hash(contents[index] + b"!"), index, size, path) != whole
    leaf = leaf_hash(contents[index])
    assert root_by_path(leaf, index, size, (*path, b"x" * 32)) != whole
    if path:
        assert root_by_path(leaf, index, size, path[:-1]) != whole
        assert root_by_path(leaf, index, size, (b"x" * 32, *path[1:])) != whole
    assert root_by_path(leaf, size, size, path) is None
    assert root_by_path(leaf, -1, size, path) is None


def test_a_path_in_a_long_log_asks_for_few_of_its_entries() -> None:
    contents = [str(number).encode() for number in range(4_000)]
    log = _log(contents)
    asked: list[int] = []

    def watched(position: int) -> tuple[bytes, bytes]:
        asked.append(position)
        return log(position)

    for index in (0, 1_234, 3_999):
        assert audit_path(watched, index, 3_999 + 1) == audit_path(log, index, 4_000)
    assert len(asked) < 3 * 100


def _log(contents: list[bytes]) -> Callable[[int], tuple[bytes, bytes]]:
    rows, peaks = [], NO_PEAKS
    for size, content in enumerate(contents):
        leaf = leaf_hash(content)
        peaks = grow(peaks, size, leaf)
        rows.append((leaf, peaks))
    return lambda position: rows[position - 1]
