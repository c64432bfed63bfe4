"""What is left of speech when a few coefficients of every frame are kept, for all trained models.

    python tools/keep_coefficients.py CORPUS

Four test sentences a speaker, each model of `load_pretrained`; kept are the largest coefficients or
the dearest (by KL), the others are zero. The scores land in one file in `results`.
"""

import argparse
import itertools
import json
from operator import attrgetter
from pathlib import Path

from joblib import delayed
from tqdm import tqdm

from sdmvae_lite.model.pretrained import load_pretrained, pretrained_names
from sdmvae_lite.scoring.metrics import Unscorable, pesq_raw, si_sdr
from sdmvae_lite.scoring.resynthesis import code_to_waveform, keep_largest, resynthesise
from sdmvae_lite.speech.corpora import Utterance, load_corpus
from sdmvae_lite.store import write
from sdmvae_lite.table.grid import provenance
from sdmvae_lite.table.records import results_folder
from sdmvae_lite.workers import as_done, torch_threads

COUNTS = (1, 2, 4, 8, 16, 32, 64)
RULES = ("largest", "dearest")
MEASURES = {"pesq_raw": pesq_raw, "si_sdr": si_sdr}


def sentences_of(utterances: list[Utterance], per_speaker: int = 4) -> list[Utterance]:
    """The first few utterances of every speaker."""
    speaker = attrgetter("speaker")
    speakers = itertools.groupby(sorted(utterances, key=speaker), key=speaker)
    return [one for _, theirs in speakers for one in itertools.islice(theirs, per_speaker)]


def scores_of_kept(name: str, utterances: list[Utterance]) -> tuple[str, dict]:
    """All scores of the utterances through one model: by rule, measure and number kept."""
    model = load_pretrained(name)
    counts = [count for count in COUNTS if count <= model.config.code_size]
    found = {rule: {each: {count: [] for count in counts} for each in MEASURES} for rule in RULES}
    with torch_threads(1):
        for utterance in utterances:
            result = resynthesise(model, utterance.waveform())
            sizes = {"largest": result.output.code.abs(), "dearest": result.output.kl}
            for rule, count in itertools.product(RULES, counts):
                kept = keep_largest(result.output.code, count, sizes[rule])
                estimate = code_to_waveform(model, kept, result.phase, len(result.reference))
                for measure, compute in MEASURES.items():
                    value = score(compute, result.reference, estimate)
                    found[rule][measure][count].append(value)
    return name, found


def score(compute, reference, estimate) -> float | None:
    try:
        return round(compute(reference, estimate), 4)
    except Unscorable:
        return None


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--minutes", type=float, help="of speech (default: the whole corpus)")
    parser.add_argument("--out", type=Path, default=results_folder(), help="folder of the file")
    chosen = parser.parse_args(arguments)
    corpus = load_corpus(chosen.corpus, minutes=chosen.minutes)
    spoken = sentences_of(corpus.test)
    names = pretrained_names()
    jobs = (delayed(scores_of_kept)(name, spoken) for name in names)
    found = dict(tqdm(as_done(jobs, -1), total=len(names), unit="model"))
    kept = {name: found[name] for name in names}
    speakers = [one.speaker for one in spoken]
    contents = {**provenance(corpus, "cpu"), "speakers": speakers, "kept": kept}
    path = chosen.out / f"{corpus.name}-coefficients-kept.json"
    write(path, f"{json.dumps(contents)}\n".encode())


if __name__ == "__main__":
    main()
