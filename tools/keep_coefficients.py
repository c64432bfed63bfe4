"""What is left of speech when a few coefficients of every frame are kept, for trained models.

    python tools/keep_coefficients.py CORPUS --preset recipe --seeds 10

Four test sentences a speaker, each run of the table; kept are the dearest coefficients of a frame
(by KL), the others are zero. The scores land in one file in `results`, by row and seed, as they
come; what it holds already is not made again. A run is trained, or found in the cache as trained.
"""

import argparse
import itertools
import json
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from joblib import delayed
from tqdm import tqdm

from sdmvae_lite.config import PRESETS, get_preset
from sdmvae_lite.model.models import VAE
from sdmvae_lite.scoring.metrics import Unscorable, pesq_raw, si_sdr
from sdmvae_lite.scoring.resynthesis import code_to_waveform, keep_largest, resynthesise
from sdmvae_lite.speech.corpora import Corpus, Utterance, load_corpus
from sdmvae_lite.store import write
from sdmvae_lite.table.grid import provenance, train_run
from sdmvae_lite.table.records import results_folder
from sdmvae_lite.table.runs import ROWS_OF_TABLE_1, Run, table_1
from sdmvae_lite.workers import as_done, torch_threads

COUNTS = (1, 2, 4, 8, 16, 32, 64)
MEASURES = {"pesq_raw": pesq_raw, "si_sdr": si_sdr}


def sentences_of(utterances: list[Utterance], per_speaker: int = 4) -> list[Utterance]:
    """The first few utterances of every speaker."""
    speaker = attrgetter("speaker")
    speakers = itertools.groupby(sorted(utterances, key=speaker), key=speaker)
    return [one for _, theirs in speakers for one in itertools.islice(theirs, per_speaker)]


def scores_of_kept(model: VAE, utterances: list[Utterance]) -> dict:
    """All scores of the utterances through a model: by measure and number kept."""
    counts = [count for count in COUNTS if count <= model.config.code_size]
    found = {measure: {count: [] for count in counts} for measure in MEASURES}
    for utterance in utterances:
        result = resynthesise(model, utterance.waveform())
        for count in counts:
            kept = keep_largest(result.output.code, count, result.output.kl)
            estimate = code_to_waveform(model, kept, result.phase, len(result.reference))
            for measure, compute in MEASURES.items():
                found[measure][count].append(score(compute, result.reference, estimate))
    return found


def score(compute, reference, estimate) -> float | None:
    try:
        return round(compute(reference, estimate), 4)
    except Unscorable:
        return None


def scores_of_run(run: Run, corpus: Corpus) -> tuple[Run, dict]:
    with torch_threads(1):
        model = train_run(run, corpus, "cpu", progress=False).model
        return run, scores_of_kept(model, sentences_of(corpus.test))


def read(path: Path, corpus: Corpus, speakers: list[str]) -> dict:
    """The scores that a file holds, by row and seed; none where there is no file."""
    if not path.exists():
        return {}
    held = json.loads(path.read_text(encoding="utf-8"))
    if (held["corpus"]["fingerprint"], held["speakers"]) != (corpus.fingerprint, speakers):
        raise ValueError(f"{path} is of other speech: name another folder")
    return held["kept"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    parser.add_argument("--seeds", type=int, default=1, help="of each row (default: 1)")
    parser.add_argument("--rows", nargs="+", help="rows of Table 1 (default: all)")
    parser.add_argument("--out", type=Path, default=results_folder(), help="folder of the file")
    chosen = parser.parse_args(arguments)
    preset = get_preset(chosen.preset)
    corpus = load_corpus(chosen.corpus, minutes=preset.minutes)
    speakers = [one.speaker for one in sentences_of(corpus.test)]
    path = chosen.out / f"{corpus.name}-coefficients-kept.json"
    kept = read(path, corpus, speakers)
    rows = [row for row in ROWS_OF_TABLE_1 if chosen.rows is None or row.name in chosen.rows]
    rows = [replace(row, input=preset.input) for row in rows]
    runs = table_1(chosen.seeds, preset.training, rows)
    missing = [run for run in runs if str(run.training.seed) not in kept.get(run.row, {})]
    jobs = (delayed(scores_of_run)(run, corpus) for run in missing)
    for run, found in tqdm(as_done(jobs, -1), total=len(missing), unit="run"):
        kept.setdefault(run.row, {})[str(run.training.seed)] = found
        contents = {**provenance(corpus, "cpu"), "speakers": speakers, "kept": kept}
        write(path, f"{json.dumps(contents)}\n".encode())


if __name__ == "__main__":
    main()
