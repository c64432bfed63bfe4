"""Every chapter runs alone: from a cold kernel, in an empty folder, with no network."""

import nbformat
import pytest
from executed import executed, run, shared_folder
from toc import chapters


def errors(outputs):
    """The tracebacks among `outputs`."""
    return [output["evalue"] for output in outputs if output["output_type"] == "error"]


def warned(outputs):
    """Warnings among `outputs`, which no page shows."""
    streams = (output["text"] for output in outputs if output.get("name") == "stderr")
    return [line for text in streams for line in text.splitlines() if "Warning" in line]


def widget_errors(notebook):
    """Tracebacks caught by output widgets, which do not fail the cell that shows them."""
    found = []
    for bundle in notebook.metadata.get("widgets", {}).values():
        for model in bundle["state"].values():
            found += errors(model["state"].get("outputs", []))
    return found


@pytest.mark.chapters
@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_chapter_runs(path, tmp_path_factory):
    notebook, log = executed(path, shared_folder(tmp_path_factory))
    assert "unknown parameter" not in log
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [error for cell in code for error in errors(cell.outputs)]
    assert not widget_errors(notebook)
    assert not [line for cell in code for line in warned(cell.outputs)]

    for cell in code:
        drawn = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        alternative = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        assert alternative or not drawn, f"this figure has no alt text:\n{cell.source}"


@pytest.mark.chapters
def test_errors_inside_widgets_are_seen(tmp_path):
    """The guard above bites: a widget swallows an exception, and it is found all the same."""
    source = (
        "import ipywidgets\n"
        "out = ipywidgets.Output()\n"
        "with out:\n"
        "    raise ValueError('hidden')\n"
        "out"
    )
    parameters = nbformat.v4.new_code_cell("other = 1", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)])
    notebook.metadata = {"language_info": {"name": "python"}}
    path = tmp_path / "chapter.ipynb"
    nbformat.write(notebook, path)

    notebook, log = run(path, tmp_path)
    assert widget_errors(notebook) == ["hidden"]
    assert "unknown parameter" in log
