import numpy as np
import pytest
import torch

from sdmvae_lite.book import checks
from sdmvae_lite.book.checks import agree, finding
from sdmvae_lite.config import get_preset
from sdmvae_lite.speech.corpora import load_corpus


def test_agreement_is_printed_with_its_distance(capsys):
    agree("a formula", torch.tensor(0.5), 0.5001, within=1e-3)
    assert (
        capsys.readouterr().out == "a formula: 0.5 and 0.5001, apart by 1.0e-04 (allowed 1.0e-03)\n"
    )


def test_arrays_agree_where_they_differ_most(capsys):
    agree("a thousand", np.zeros(1000), np.linspace(0, 0.1, 1000), within=0.2)
    assert (
        capsys.readouterr().out == "a thousand: 1,000 pairs, apart by 1.0e-01 (allowed 2.0e-01)\n"
    )
    with pytest.raises(AssertionError, match=r"apart by 1\.0e-01"):
        agree("a thousand", np.zeros(1000), np.linspace(0, 0.1, 1000), within=0.05)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_agrees_with_nothing(value):
    with pytest.raises(AssertionError):
        agree("broken", value, 1.0, within=1e9)


def test_shapes_are_not_broadcast():
    with pytest.raises(AssertionError, match=r"shapes \(3,\) and \(\) differ"):
        agree("an array and a number", np.ones(3), 1.0, within=1.0)


def test_gradients_are_no_hindrance(capsys):
    agree("a parameter", torch.ones(2, requires_grad=True), torch.ones(2), within=0.0)
    assert "2 pairs, apart by 0.0e+00" in capsys.readouterr().out


def test_a_notebook_shows_a_tick_and_folds_the_numbers(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(checks, "get_ipython", object)
    monkeypatch.setattr(checks, "display", lambda bundle, raw: shown.append(bundle))
    agree("<direct> and alternating", 0.5, 0.5001, within=1e-3)
    (bundle,) = shown
    numbers = "0.5 and 0.5001, apart by 1.0e-04 (allowed 1.0e-03)"
    assert bundle["text/plain"] == f"<direct> and alternating: {numbers}"
    summary, _, rest = bundle["text/html"].partition("</summary>")
    assert summary.endswith("<summary>✓ &lt;direct&gt; and alternating")
    assert rest == f"{numbers}</details>"
    with pytest.raises(AssertionError, match=r"apart by 1\.0e\+00 \(allowed"):
        agree("worlds apart", 0.0, 1.0, within=0.1)
    assert len(shown) == 1
    assert not capsys.readouterr().out


def test_a_finding_must_hold_in_the_run_that_the_book_shows(capsys):
    corpus, laptop, smoke = (
        load_corpus("synthetic", minutes=1),
        *map(get_preset, ("laptop", "smoke")),
    )
    finding("two is more than one", True, laptop, corpus)
    finding("one is more than two", False, smoke, corpus)
    printed = capsys.readouterr().out
    assert printed == "here too: two is more than one\nnot in this run: one is more than two\n"
    with pytest.raises(AssertionError, match="one is more than two"):
        finding("one is more than two", False, laptop, corpus)
