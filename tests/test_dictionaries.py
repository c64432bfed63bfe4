import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdmvae_lite.model.dictionaries import (
    check_dictionary,
    coherence,
    dct_dictionary,
    identity_dictionary,
    rank,
    singular_values,
)


@given(m=st.integers(2, 80), k=st.integers(1, 80), constant_atom=st.booleans())
def test_atoms_have_unit_norm_and_no_mean_but_for_the_constant_one(m, k, constant_atom):
    dictionary = dct_dictionary(m, k, constant_atom).double()
    assert dictionary.shape == (m, k)
    torch.testing.assert_close(dictionary.norm(dim=0), torch.ones(k).double(), atol=1e-6, rtol=0)
    means = dictionary.mean(dim=0)[1 if constant_atom else 0 :]
    torch.testing.assert_close(means, torch.zeros_like(means), atol=1e-6, rtol=0)
    check_dictionary(dictionary.float())


def test_atoms_are_equation_11_written_out():
    m, k = 5, 7
    dictionary = dct_dictionary(m, k, constant_atom=False).numpy()
    for r in range(1, k + 1):
        atom = np.array([np.cos((position - 1) * np.pi * r / k) for position in range(1, m + 1)])
        atom -= atom.mean()
        np.testing.assert_allclose(dictionary[:, r - 1], atom / np.linalg.norm(atom), atol=1e-6)


def test_the_constant_atom_decides_the_rank():
    for m, k in [(32, 32), (32, 64), (64, 64)]:
        assert rank(dct_dictionary(m, k)) == m
        assert rank(dct_dictionary(m, k, constant_atom=False)) == m - 1
    assert rank(dct_dictionary(64, 32)) == 32


def test_singular_values_and_coherence_are_numpys():
    dictionary = dct_dictionary(32, 64)
    matrix = dictionary.double().numpy()
    np.testing.assert_allclose(
        singular_values(dictionary).numpy(), np.linalg.svd(matrix, compute_uv=False), atol=1e-12
    )
    gram = np.abs(np.corrcoef(matrix[:, 1:], rowvar=False))  # the constant atom meets no other
    np.fill_diagonal(gram, 0)
    assert coherence(dictionary) == pytest.approx(gram.max(), abs=1e-6)


def test_the_numbers_the_book_quotes():
    assert singular_values(dct_dictionary(32, 32))[-1].item() == pytest.approx(0.127, abs=5e-4)
    assert singular_values(dct_dictionary(64, 64))[-1].item() == pytest.approx(0.089, abs=5e-4)
    assert coherence(dct_dictionary(32, 64)) == pytest.approx(0.978, abs=5e-4)


def test_identity():
    assert torch.equal(identity_dictionary(3), torch.eye(3))
    assert coherence(identity_dictionary(3)) == 0
    assert rank(identity_dictionary(3)) == 3


@pytest.mark.parametrize(
    ("dictionary", "named"),
    [
        (torch.ones(3), "shape"),
        (torch.ones(3, 0), "shape"),
        (torch.full((2, 2), torch.nan), "NaN"),
        (2 * torch.eye(3), "atom 0 of the dictionary has norm 2"),
    ],
)
def test_what_is_no_dictionary_is_refused(dictionary, named):
    with pytest.raises(ValueError, match=named):
        check_dictionary(dictionary)


@pytest.mark.parametrize(
    "build",
    [
        lambda: identity_dictionary(0),
        lambda: dct_dictionary(0, 3),
        lambda: dct_dictionary(3, 0),
        lambda: dct_dictionary(1, 3),
        lambda: dct_dictionary(1, 1, constant_atom=False),
    ],
)
def test_sizes_that_leave_nothing_are_refused(build):
    with pytest.raises(ValueError, match=r"must be at least 1|has only its constant atom"):
        build()


def test_the_smallest_literal_dictionary_is_twice_one_atom():
    """By hand: the cosines (1, 0) and (1, -1), centred and normalised, are the same."""
    atom = torch.tensor([1.0, -1.0]) / 2**0.5
    literal = dct_dictionary(2, 2, constant_atom=False)
    torch.testing.assert_close(literal, torch.stack([atom, atom], dim=1))
    kept = torch.stack([torch.ones(2) / 2**0.5, atom], dim=1)
    torch.testing.assert_close(dct_dictionary(2, 2), kept)
