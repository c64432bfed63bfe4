"""The command line ``sdmvae``: commands import what they need, so --help waits for no torch."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sdmvae_lite

from .config import DICTIONARIES, MODELS, PRESETS, PRIORS, SAMPLE_RATE, ModelConfig, get_preset
from .store import cache_folder, write

if TYPE_CHECKING:
    import numpy as np

    from . import VAE
    from .speech.corpora import Corpus

# Rows beside the fourteen: the dictionary as the paper's equation has it, VSC as published later.
MORE_ROWS = (
    *(ModelConfig("sdm-vae", dictionary="dct", k=k, constant_atom=False) for k in (32, 64)),
    *(ModelConfig("vsc", alpha=alpha, pseudo_inputs=20) for alpha in (0.05, 0.5, 0.9)),
)
USED_BY = {
    "dictionary": ("sdm-vae", "loglinear-vae"),
    "k": ("sdm-vae",),
    "alpha": ("vsc",),
    "pseudo_inputs": ("vsc",),
    "prior": ("loglinear-vae",),
    "nu": ("student-vae", "loglinear-vae"),
    "nonzero": ("loglinear-vae",),
}
MEASURES = ("pesq_raw", "stoi", "estoi", "si_sdr", "hoyer")


class Commands(click.Group):
    """Commands that say in a line what is wrong, or how to go on after Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: click.echo(f"Note: {message}", err=True)
            try:
                return super().invoke(ctx)
            except (click.exceptions.Exit, click.Abort, BrokenPipeError):
                raise
            except (ValueError, OSError, RuntimeError, FloatingPointError, ImportError) as error:
                bare = isinstance(error, OSError) and not error.filename and error.strerror
                told = str(bare or error).replace('load it with on_error="skip"', "add --skip")
                click.echo(f"Error: {told}", err=True)
                ctx.exit(2)
            except KeyboardInterrupt:
                click.echo("\nStopped: the same command, given again, goes on.", err=True)
                ctx.exit(130)


@click.group(cls=Commands, context_settings={"show_default": True})
@click.version_option(sdmvae_lite.__version__)
def main() -> None:
    """Variational autoencoders of speech, sparse in a dictionary."""


def command(example: str, *params: click.Parameter) -> Callable[..., click.Command]:
    return main.command(params=[*params], epilog=f"Example: sdmvae {example}")


SPEECH = (
    click.Argument(["corpus"]),
    click.Option(["--minutes"], type=float, help="Take about so much speech, in all three parts."),
    click.Option(["--split"], help="Of TCD-TIMIT: authors or ntcd."),
)
SKIP = click.Option(["--skip"], is_flag=True, help="Leave out what cannot be used.")
TRAINING = (
    click.Option(["--preset"], type=click.Choice([*PRESETS]), default="paper", help="Of training."),
    click.Option(["--device"], default="auto", help="auto, cpu, cuda or cuda:1."),
)
JOBS = click.Option(["--jobs"], default=-1, help="Processes; -1 is one a core.")
MODEL = click.Option(["--model"], required=True, help="A folder made by train, or a name: vae-32.")
FORCE = click.Option(["--force"], is_flag=True, help="Replace what is written where it exists.")
SOUND = (click.Argument(["source"], metavar="IN"), click.Argument(["out"]), MODEL, FORCE)


@command("corpus path/to/speech", *SPEECH)
def corpus(**speech: Any) -> None:
    """Check CORPUS and say what of it would be used, and what not, with reasons.

    CORPUS is a folder of SPEAKER/.../*.wav|flac|ogg or of train|validation|test/SPEAKER/...,
    or tcd-timit:FOLDER, librispeech or synthetic.
    """
    for what, why in load(**speech, skip=True).skipped:
        click.echo(f"    {what}: {why}")


@command(
    "train path/to/speech mine --model sdm-vae --m 32",
    *(*SPEECH, SKIP, click.Argument(["out"])),
    click.Option(["--row"], help="The model by its row of the table, such as sdm-dct64-32."),
    click.Option(["--model"], type=click.Choice(MODELS), help="Or by its kind.  [default: vae]"),
    click.Option(["--m"], type=int, help="Dimension of the latent code.  [default: 32]"),
    click.Option(["--dictionary"], type=click.Choice(DICTIONARIES), help="Where it has one."),
    click.Option(["--k"], type=int, help="Atoms of the SDM-VAE's dictionary.  [default: m]"),
    click.Option(["--alpha"], type=float, help="How often a coefficient of VSC is active."),
    click.Option(["--pseudo-inputs"], type=int, help="Of VSC's prior, which is fixed without."),
    click.Option(["--prior"], type=click.Choice(PRIORS), help="Of the log-linear VAE."),
    click.Option(["--nu"], type=float, help="Of a Student-t prior, which is learned without."),
    click.Option(["--nonzero"], type=int, help="Coefficients a frame of the log-linear VAE."),
    *(*TRAINING, click.Option(["--seed"], default=0, help="Of weights, order and noise.")),
)
def train(out: str, preset: str, device: str, seed: int, **given: Any) -> None:
    """Train a model on the speech of CORPUS and save it in the new folder OUT."""
    from .table.grid import check_folder
    from .training.fit import find_device, kept_epoch

    speech = {name: given.pop(name) for name in ("corpus", "minutes", "split", "skip")}
    settings = get_preset(preset)
    config = replace(chosen_model(**given), input=settings.input)
    run = sdmvae_lite.Run(config, replace(settings.training, seed=seed))
    folder = new_path(out)
    check_folder(folder)
    find_device(device)
    found = load(**speech, preset=preset)
    model, history = sdmvae_lite.train_run(run, found, device)
    sdmvae_lite.save_model(model, folder, corpus=found.name, preset=preset, seed=seed)
    kept = kept_epoch(history, run.training)
    click.echo(f"{out}: {config.label}, epoch {kept} of {history.epochs}")


@command("score path/to/speech --model sdm-identity-32", *SPEECH, SKIP, MODEL, JOBS)
def score(model: str, jobs: int, **speech: Any) -> None:
    """Print the mean scores of a model over the test part of CORPUS, and what has no score."""
    from .scoring.evaluation import unscored

    trained, test, cache = trained_model(model), load(**speech).test, cache_folder() / "scores"
    rows = sdmvae_lite.evaluate(trained, test, n_jobs=jobs, cache=cache)
    show({trained.config.name: sdmvae_lite.mean_scores(rows)}, unscored(rows))


@command("resynthesise in.wav out.wav --model sdm-identity-32", *SOUND)
def resynthesise(out: str, **sound: Any) -> None:
    """Encode and decode the speech in IN, and write it to OUT, a WAV file at 16 kHz."""
    through(
        outs=[out],
        decode=lambda model, x: [abs(x).max() * sdmvae_lite.resynthesise(model, x).estimate],
        **sound,
    )


@command(
    "keep in.wav out.wav --model sdm-identity-32 --count 4",
    *SOUND,
    click.Option(["--count"], type=click.IntRange(0), required=True, help="Coefficients a frame."),
    click.Option(["--by"], type=click.Choice(["kl", "magnitude"]), default="kl", help="Measure."),
)
def keep(out: str, count: int, by: str, **sound: Any) -> None:
    """Resynthesise IN from the coefficients of most KL from the prior, or the largest; score it."""
    from .scoring.evaluation import score, unscored

    def decode(model: VAE, waveform: np.ndarray) -> list[np.ndarray]:
        result = sdmvae_lite.resynthesise(model, waveform)
        output, length = result.output, len(result.reference)
        code = sdmvae_lite.keep_largest(output.code, count, output.kl if by == "kl" else None)
        estimate = sdmvae_lite.code_to_waveform(model, code, result.phase, length)
        kept = result._replace(estimate=estimate, output=output._replace(code=code))
        rows = [score(result, "", "all"), score(kept, "", f"{count} by {by}")]
        show({row.utterance: row.values for row in rows}, unscored(rows))
        return [abs(waveform).max() * estimate]

    through(outs=[out], decode=decode, **sound)


@command(
    "enhance noisy.wav clean.wav --noise-out noise.wav",
    click.Argument(["source"], metavar="NOISY"),
    click.Argument(["out"], metavar="CLEAN"),
    click.Option(["--noise-out"], help="Write what was removed to this WAV file."),
    click.Option(["--method"], default="fast", help="fast, mcem or encoder."),
    click.Option(["--model"], default="vae-32-log", help="A folder made by train, or a name."),
    click.Option(["--device"], default="auto", help="auto, cpu, cuda or cuda:1."),
    FORCE,
)
def enhance(
    source: str, out: str, noise_out: str | None, method: str, model: str, device: str, force: bool
) -> None:
    """Take the noise out of the speech in NOISY, and write it to CLEAN, a WAV file at 16 kHz."""
    from .enhancement.em import enhance
    from .training.fit import find_device

    found, outs = find_device(device), [out] if noise_out is None else [out, noise_out]
    through(
        *(source, outs, model, force),
        lambda trained, x: enhance(trained.to(found), x, method, progress=True)[: len(outs)],
    )


@command(
    "table path/to/speech --rows vae-32,sdm-identity-32 --seeds 1",
    *(*SPEECH, SKIP, click.Option(["--out"], default="records", help="Folder of the records.")),
    click.Option(["--rows"], default="", show_default="the paper's", help="With commas."),
    click.Option(["--seeds"], type=click.IntRange(1), default=5, help="Trainings of each row."),
    *(*TRAINING, JOBS),
    click.Option(["--samples/--no-samples"], default=True, help="Score sampled codes too."),
    click.Option(["--dask"], default="", show_default="none", help="As tcp://host:8786."),
)
def table(
    rows: str,
    seeds: int,
    preset: str,
    out: str,
    device: str,
    jobs: int,
    samples: bool,
    dask: str,
    **speech: Any,
) -> None:
    """Train and score rows of a table on CORPUS, each record once, and print the rows' means."""
    from joblib import parallel_config

    from .table.records import row_means
    from .table.runs import ROWS_OF_TABLE_1
    from .training.fit import find_device

    settings = get_preset(preset)
    chosen = [row_called(name) for name in rows.split(",")] if rows else ROWS_OF_TABLE_1
    chosen = [replace(row, input=settings.input) for row in chosen]
    runs = sdmvae_lite.table_1(seeds, settings.training, chosen)
    find_device("auto" if dask else device)  # a cluster has its own
    with parallel_config(**({"backend": "dask", "scheduler_host": dask} if dask else {})):
        speech_corpus = load(**speech, preset=preset)
        records = sdmvae_lite.run_grid(runs, speech_corpus, out, device, jobs, samples=samples)
    by_row = {run.row: [one for one in records if one.row == run.row] for run in runs}
    held = [m for m in MEASURES if all(m in one.posterior_mean for one in records)]
    show({row: {m: row_means(of_row, m).mean() for m in held} for row, of_row in by_row.items()})


def load(corpus: str, minutes: Any, split: Any, skip: bool, preset: str = "paper") -> Corpus:
    """Load a corpus, as large as the preset says unless ``minutes`` does, and say what it is."""
    minutes = get_preset(preset).minutes if minutes is None else minutes
    on_error = "skip" if skip else "raise"
    found = sdmvae_lite.load_corpus(corpus, minutes, split=split, on_error=on_error)
    click.echo(found)
    return found


def row_called(name: str) -> ModelConfig:
    from .table.runs import ROWS_AFTER_THE_PAPER, ROWS_OF_TABLE_1

    rows = {row.name: row for row in (*ROWS_OF_TABLE_1, *MORE_ROWS, *ROWS_AFTER_THE_PAPER)}
    if name not in rows:
        raise ValueError(f"unknown row {name!r}: choose one of {', '.join(rows)}")
    return rows[name]


def chosen_model(row: str | None, **options: Any) -> ModelConfig:
    """Return the row, or the model of the options; refuse an option that it does not have."""
    given = {name: value for name, value in options.items() if value is not None}
    kind = row or given.get("model", "vae")
    for name in given:
        if row or kind not in USED_BY.get(name, (kind,)):
            raise ValueError(f"--{name.replace('_', '-')} is not for {kind}: leave it out")
    return row_called(row) if row else ModelConfig(**given)


def trained_model(name: str) -> VAE:
    """Return the model in the folder of this name or, without one, the package's."""
    is_folder = Path(name).expanduser().is_dir()
    return sdmvae_lite.load_model(name) if is_folder else sdmvae_lite.load_pretrained(name)


def new_path(name: str, force: bool = False) -> Path:
    path = Path(name).expanduser()
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists already: choose another name, or remove it first")
    return path


def through(
    source: str,
    outs: Sequence[str],
    model: str,
    force: bool,
    decode: Callable[[VAE, np.ndarray], Iterable[np.ndarray]],
) -> None:
    """Write what is made of a recording to WAV files, each whole or not at all."""
    import soundfile

    from .speech.corpora.audio import AudioFile

    for out in outs:
        if not out.lower().endswith(".wav"):
            raise ValueError(f"{out} is to be a WAV file: give it a name that ends in .wav")
    audio, paths = AudioFile(Path(source).expanduser()), [new_path(out, force) for out in outs]
    if len({path.resolve() for path in (audio.path, *paths)}) <= len(paths):
        raise ValueError(f"{', '.join((source, *outs))}: a file is named twice, choose other names")
    trained, waveform, (n_samples, rate, n_channels) = (
        trained_model(model),
        audio.read(),
        audio.header,
    )
    click.echo(f"{source}: {n_samples / rate:.2f} s at {rate} Hz, channels: {n_channels}")
    made = list(decode(trained, waveform))
    peak = max(1.0, *(abs(each).max() for each in made))  # all as much quieter, to add up
    quieter = f", {20 * math.log10(peak):.1f} dB quieter to fit full scale" if peak > 1 else ""
    for out, path, each in zip(outs, paths, made, strict=True):
        content = io.BytesIO()
        soundfile.write(content, each / peak, SAMPLE_RATE, "PCM_16", format="WAV")
        write(path, content.getvalue())
        click.echo(f"{out}: {len(each) / SAMPLE_RATE:.2f} s at {SAMPLE_RATE} Hz{quieter}")


def show(rows: Mapping[str, Mapping[str, float]], unscored: Iterable[str] = ()) -> None:
    width = max(map(len, rows))
    click.echo(" " * width + "".join(f"{measure:>10}" for measure in MEASURES))
    for name, scores in rows.items():
        cells = (f"{scores.get(measure, math.nan):10.3f}" for measure in MEASURES)
        click.echo(f"{name:<{width}}" + "".join(cells))
    for line in unscored:
        click.echo(f"no score: {line}")
