"""A chapter is executed exactly when its outputs would no longer be those of today's code."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from jupyter_cache.cache.db import NbCacheRecord, session_context
from sphinx.cmd.build import main as sphinx
from toc import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import execute_chapters
from execute_chapters import files_behind, refresh

PROGRAM = ROOT / "tools" / "execute_chapters.py"
FILES = {
    "tiny/__init__.py": "",
    "tiny/base.py": '"""Of values."""\nVALUE = 1\n',
    "tiny/middle.py": "from .base import VALUE\n\n\ndef double():\n    return 2 * VALUE\n",
    "tiny/alone.py": "NAME = 'nobody'  # by itself\n",
    "lazy/__init__.py": (
        "import lazy_loader\n"
        "__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)\n"
    ),
    "lazy/__init__.pyi": "from .one import ONE as ONE\nfrom .two import TWO as TWO\n",
    "lazy/one.py": "ONE = 1\n",
    "lazy/two.py": "TWO = 2\n",
    "requirements.lock": "torch==1.0\n",
    "results/run.json": "{}",
}
CHAPTERS = {
    "bare": "!true\n1 + 1",
    "direct": "from tiny.base import VALUE\nVALUE",
    "through": "def later():\n    from tiny import middle\n    return middle.double()\nlater()",
    "listing": "import inspect\nfrom tiny import alone\nprint(inspect.getsource(alone))",
    "lazily": "from lazy import TWO\nTWO",
    "records": "from tiny.alone import NAME\nf'results/{NAME}.json'",
}
# By this each chapter itself says that it is executed.
DIARY = "import os\nwith open(os.environ['DIARY'], 'a') as diary:\n    print({!r}, file=diary)"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write_chapter(root, name, code, prose="# A title"):
    cells = [nbformat.v4.new_markdown_cell(prose)]
    cells += [nbformat.v4.new_code_cell(each) for each in (DIARY.format(name), code)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, root / f"{name}.ipynb")


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def build(root, pattern="*"):
    """Refresh the book; returns the chapters that were executed, in their own words."""
    diary = root / "diary"
    diary.write_text("")
    os.environ |= {"DIARY": str(diary), "PYTHONPATH": str(root)}
    done, failed = refresh(sorted(root.glob(f"{pattern}.ipynb")), root / "_build", root, timeout=60)
    executed = diary.read_text().split()
    assert sorted(executed) == sorted(done + failed)
    return set(executed)


@pytest.fixture(scope="module")
def first_book(tmp_path_factory):
    """A book of which every chapter has been executed."""
    root = tmp_path_factory.mktemp("book")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    for name, code in CHAPTERS.items():
        write_chapter(root, name, code)
    with pytest.MonkeyPatch.context() as patch:
        set_up(patch)
        assert build(root) == set(CHAPTERS)
    return root


def set_up(patch):
    for name in ("SDMVAE_PRESET", "SDMVAE_CORPUS", "DIARY", "PYTHONPATH"):
        patch.setenv(name, "")


@pytest.fixture
def book(first_book, tmp_path, monkeypatch):
    """The same, moved: every file has another time."""
    set_up(monkeypatch)
    return shutil.copytree(first_book, tmp_path / "book", copy_function=shutil.copy)


def outputs(root, name):
    """What the last cell of a chapter shows by the cache, as jupyter-book would take it."""
    notebook = nbformat.read(root / f"{name}.ipynb", as_version=4)
    _, merged = get_cache(root / "_build" / ".jupyter_cache").merge_match_into_notebook(notebook)
    (output,) = merged.cells[-1].outputs
    return output["data"]["text/plain"] if "data" in output else output["text"]


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("tiny/base.py", "VALUE = 1", "VALUE = (1)  # in brackets", set()),
        ("tiny/base.py", "VALUE = 1", "VALUE = 4", {"direct", "through"}),
        ("tiny/base.py", "Of values", "Of a value", {"direct", "through"}),
        ("tiny/middle.py", "2 *", "3 *", {"through"}),
        ("tiny/alone.py", "by itself", "lonely", {"listing"}),
        ("lazy/one.py", "1", "3", set()),
        ("lazy/two.py", "2", "3", {"lazily"}),
        ("results/run.json", "{}", "[]", {"records"}),
    ],
)
def test_what_a_file_is_behind_is_executed_when_its_content_changes(book, name, old, new, expected):
    change(book / name, old, new)
    assert build(book) == expected
    assert build(book) == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bare", set()),
        ("direct", {"tiny/__init__.py", "tiny/base.py", "tiny/voices.csv"}),
        ("through", {"tiny/__init__.py", "tiny/middle.py", "tiny/base.py", "tiny/voices.csv"}),
        ("records", {"tiny/__init__.py", "tiny/alone.py", "tiny/voices.csv", "results/run.json"}),
    ],
)
def test_packages_count_with_the_data_beside_their_modules(book, name, expected):
    for other in ("voices.csv", ".base.py.swp", "base.py~"):  # the last two by an editor
        (book / "tiny" / other).write_text("")
    notebook = nbformat.read(book / f"{name}.ipynb", as_version=4)
    assert files_behind(notebook, book).keys() == expected


def test_a_fresh_checkout_executes_nothing_and_prose_neither(book):
    assert build(book) == set()
    write_chapter(book, "direct", CHAPTERS["direct"], prose="# Another title")
    assert build(book) == set()


def test_a_changed_cell_executes_its_chapter_and_what_was_is_forgotten(book):
    write_chapter(book, "bare", "1 + 2")
    (book / "records.ipynb").unlink()
    assert build(book) == {"bare"}
    assert outputs(book, "bare") == "3"
    kept = get_cache(book / "_build" / ".jupyter_cache").list_cache_records()
    assert len(kept) == len(CHAPTERS) - 1
    assert len(list((book / "_build/.jupyter_cache/executed").iterdir())) == len(CHAPTERS) - 1


def test_a_setting_executes_every_chapter_the_longest_first(book, monkeypatch, capsys):
    seconds = {"direct": 40, "records": 30, "bare": 20, "through": 10, "listing": 1, "lazily": 0}
    with session_context(get_cache(book / "_build" / ".jupyter_cache").db) as session:
        for record in session.query(NbCacheRecord):
            took = {"execution_seconds": seconds[Path(record.uri).stem]}
            record.data = record.data | took
        session.commit()
    monkeypatch.setenv("SDMVAE_PRESET", "smoke")
    assert build(book) == set(CHAPTERS)
    said = capsys.readouterr().out.splitlines()
    assert said[:6] == [f"to execute: {name}, for SDMVAE_PRESET" for name in seconds]


def test_one_chapter_alone_keeps_the_outputs_of_the_others(book):
    write_chapter(book, "bare", "1 + 2")
    assert build(book, "bare") == {"bare"}
    assert build(book) == set()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "side by side"),
        (["_build"], 2, "required: chapters"),
        (["_build", "nowhere.ipynb"], 2, "no such notebook: nowhere.ipynb"),
    ],
)
def test_what_is_asked_for_is_clear_before_anything_is_made(tmp_path, arguments, status, said):
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_the_lock_counts_and_the_files_of_a_corpus(book, tmp_path, monkeypatch):
    for name in set(CHAPTERS) - {"bare"}:
        (book / f"{name}.ipynb").unlink()
    change(book / "requirements.lock", "1.0", "2.0")
    assert build(book) == {"bare"}
    recording = tmp_path / "speech" / "anna" / "one.wav"
    recording.parent.mkdir(parents=True)
    monkeypatch.setenv("SDMVAE_CORPUS", str(tmp_path / "speech"))
    assert build(book) == {"bare"}
    recording.write_bytes(b"a")
    assert build(book) == {"bare"}
    assert build(book) == set()


def test_a_chapter_that_failed_is_executed_again(book, capfd):
    change(book / "tiny/middle.py", "2 *", "2 /* ")
    write_chapter(book, "bare", "1 / 0")
    for _ in range(2):
        assert build(book) == {"through", "bare"}
        said = capfd.readouterr().err
        assert "SyntaxError" in said
        assert "ZeroDivisionError" in said
    change(book / "tiny/middle.py", "2 /* ", "2 *")
    write_chapter(book, "bare", "1 +")
    build(book)
    assert "bare failed" in capfd.readouterr().err
    write_chapter(book, "bare", CHAPTERS["bare"])
    assert build(book) == set(), "these outputs were never lost"


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_record_cut_short_does_not_count(book, monkeypatch):
    write_chapter(book, "bare", "1 + 2")
    with monkeypatch.context() as patch:
        patch.setattr(execute_chapters, "session_context", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(book)
    assert build(book) == {"bare"}


def test_a_module_that_changes_while_a_chapter_runs_counts_as_changed_even_if_put_back(book):
    edit = "from tiny import base\nprint('OTHER = 2', file=open(base.__file__, 'a'))"
    write_chapter(book, "direct", edit)
    assert build(book) == {"direct"}
    change(book / "tiny/base.py", "OTHER = 2\n", "")
    assert build(book) == {"direct"}


def test_an_interrupted_run_keeps_what_is_done_and_leaves_no_kernel(book, monkeypatch):
    write_chapter(book, "bare", "1 + 2")
    wait = "import time\nprint(file=open('running', 'w'))\ntime.sleep(int(os.environ['WAIT']))"
    write_chapter(book, "direct", wait.replace("running", str(book / "running")))
    (book / "_config.yml").write_text("execute: {timeout: 100}")
    tool = subprocess.Popen(
        [sys.executable, PROGRAM, "_build", "bare.ipynb", "direct.ipynb"],
        cwd=book,
        env=os.environ | {"DIARY": str(book / "diary"), "WAIT": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs, and what they start, would ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    next(line for line in tool.stdout if line.startswith("bare:"))
    while not (book / "running").exists() and tool.poll() is None:
        time.sleep(0.1)
    tool.send_signal(signal.SIGINT)
    # The kernels have these pipes too: they end when the last kernel does.
    assert "interrupted" in tool.communicate(timeout=50)[1]
    assert tool.returncode != 0

    monkeypatch.setenv("WAIT", "0")
    assert build(book) == {"direct"}


def render(book):
    """The pages, as jupyter-book has Sphinx write them."""
    settings = {
        "extensions": "myst_nb",
        "root_doc": "direct",
        "nb_execution_mode": "cache",
        "nb_execution_cache_path": book / "_build" / ".jupyter_cache",
    }
    build = book / "_build"
    options = [f"--define={name}={value}" for name, value in settings.items()]
    folders = ["--doctree-dir", build / ".doctrees", book, build / "html"]
    assert sphinx(["--quiet", "--isolated", *options, *map(str, folders)]) == 0


def test_a_page_shows_new_outputs_of_an_unchanged_notebook(book):
    pages = {name: book / "_build" / "html" / f"{name}.html" for name in CHAPTERS}
    render(book)
    before = pages["bare"].stat().st_mtime_ns
    change(book / "tiny/base.py", "1", "1000")
    build(book)
    assert (outputs(book, "direct"), outputs(book, "through")) == ("1000", "2000")
    render(book)
    assert "1000" in pages["direct"].read_text()
    assert "2000" in pages["through"].read_text()
    assert pages["bare"].stat().st_mtime_ns == before
