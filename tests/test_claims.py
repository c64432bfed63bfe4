"""The dated file: the paper's table and sentences, and what its own table says of each claim."""

import dataclasses
import math
import re

import pytest

from sdmvae_lite.config import TrainingConfig, to_dict
from sdmvae_lite.table.claims import CLAIMS, MARGINS, MEASURES, PAPER, RECIPE
from sdmvae_lite.table.runs import ROWS_OF_TABLE_1, Run
from sdmvae_lite.table.verdicts import paper_effect

ROWS = {row.name: row for row in ROWS_OF_TABLE_1}
BESIDE_THE_CLAIM = {("STOI moves less between DCT dictionaries than between values of α", 64)}


def test_the_rows_are_those_of_table_1():
    assert PAPER.keys() == ROWS.keys()
    claimed = {name for c in CLAIMS for each in c.comparisons for name in each.above + each.below}
    assert claimed == PAPER.keys()
    assert Run(ROWS["vae-32"], TrainingConfig()).row == "vae-32"
    assert to_dict(ROWS["vae-64"])["m"] == 64


def test_rows_of_the_recipe_end_as_the_claims_say():
    trained = TrainingConfig(schedule="cosine")
    runs = [Run(dataclasses.replace(row, input="log-power"), trained) for row in ROWS_OF_TABLE_1]
    assert [run.row for run in runs] == [name + RECIPE for name in ROWS]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_the_papers_own_table_bears_its_claims_out(claim):
    """But for one, at one size; of cost and overfitting the table says nothing."""
    for comparison in claim.comparisons:
        found = paper_effect(comparison)
        if comparison.measure in MEASURES:
            m = int(comparison.above[0].rsplit("-", 1)[1])
            borne_out = found >= -comparison.tolerance - 1e-9
            assert borne_out == ((claim.text, m) not in BESIDE_THE_CLAIM)
        else:
            assert math.isnan(found)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_each_claim_is_quoted_and_has_margins(claim):
    assert re.fullmatch(r'"[^"]+"(; "[^"]+")*( \((abstract|Section 1)\))?', claim.sentence)
    for comparison in claim.comparisons:
        assert comparison.tolerance in (0.0, MARGINS[comparison.measure])
