"""Every figure of a chapter has an alternative text, a caption from it, and a number."""

import sys

import pytest
import yaml
from docutils import nodes
from docutils.utils import new_document
from toc import BOOK, ROOT, cells, chapters

sys.path.insert(0, str(BOOK / "_ext"))
from figures import caption, number_figures

CHAPTERS = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)


def alternative(cell):
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")


@CHAPTERS
def test_every_cell_that_draws_has_an_alternative_text(path):
    draws = [cell for cell in cells(path, "code") if "plt.subplots" in cell.source]
    drawn = [cell for cell in draws if "def " not in cell.source or "plt.show" in cell.source]
    assert not [cell.source for cell in drawn if not alternative(cell)]


@CHAPTERS
def test_captions_are_sentences_of_a_few_lines(path):
    captions = [caption(alternative(cell)) for cell in cells(path, "code") if alternative(cell)]
    assert not [text for text in captions if not 20 < len(text) < 350 or text[-1] not in ".:?!"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("A line through 0.05 dB. It falls.", "A line through 0.05 dB. It falls."),
        ("Two plots. Above, a. Below, b.", "Two plots. Above, a."),
        (
            "Histogram of all coefficients of the sentence. A hump.",
            "Histogram of all coefficients of the sentence.",
        ),
        ("One", "One"),
    ],
)
def test_a_caption_is_the_first_sentence_or_two(text, first):
    assert caption(text) == first


def cell(text, *outputs):
    """A cell as MyST-NB hands it over, whose picture has this alternative text."""
    made = nodes.container(
        nb_element="cell_code", cell_metadata={"mystnb": {"image": {"alt": text}}}
    )
    for output in outputs:
        bundle = nodes.container("", output, nb_element="mime_bundle")
        made += nodes.container("", bundle, nb_element="cell_code_output")
    return made


def test_pictures_become_figures_with_captions_in_their_order():
    document = new_document("chapter")
    picture = nodes.image(uri="one.png")
    document += cell("", nodes.image(uri="none.png"))
    document += cell("Loss against the epoch, falling.", nodes.paragraph("", "printed"), picture)
    document += cell("Moved by a slider, see its values.", nodes.raw("", "<figure>"))
    number_figures(None, document)
    figures = list(document.findall(nodes.figure))
    assert [figure["ids"] for figure in figures] == [["figure-1"], ["figure-2"]]
    assert [figure[-1].astext()[:5] for figure in figures] == ["Loss ", "Moved"]
    assert list(figures[0].findall(nodes.image)) == [picture]
    assert document[0].astext() == ""


def test_the_book_numbers_its_figures():
    sphinx = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]
    assert "figures" in sphinx["config"]["extensions"]
    assert sphinx["config"]["numfig_format"]["figure"] == "Figure %s"
