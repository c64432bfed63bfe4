"""What `make bench` shows of its results."""

from pathlib import Path

import matplotlib.pyplot as plt


def table(results: dict) -> str:
    """The results as Markdown."""
    lines = [results["machine"], ""]
    for threads, figures in results["ms per step and run"].items():
        plain, floor = (figures[name]["median"] for name in ("plain loop", "products alone"))
        lines += [
            f"| one step of one run, {threads} | ms (min to max) | speed | to the products |",
            "|---|---|---|---|",
        ]
        for name, value in figures.items():
            ms = value["median"]
            lines.append(f"| {name} | {_spread(value)} | {plain / ms:.2f} x | {ms / floor:.2f} x |")
        lines.append("")
    if "growth" in results:
        lines += [
            "| minutes of speech | frames, GB | held | s per epoch | ms per step | memory, GB |",
            "|---|---|---|---|---|---|",
        ]
        for row in results["growth"]:
            streamed = row["GB of frames"] > row["budget in GB"]
            held = f"streamed within {row['budget in GB']:g} GB" if streamed else "in memory"
            step = 1e3 * row["seconds"] / (row["frames"] / 128)
            lines.append(
                f"| {row['minutes']:.0f} | {row['GB of frames']:.2f} | {held} "
                f"| {row['seconds']:.1f} | {step:.2f} | {row['GB above the interpreter']:.2f} |"
            )
        lines.append("")
    if "seconds to a quality" in results:
        lines += waited(results["seconds to a quality"], *results["ms per step and run"].values())
    for name in ("frames, times real time", "scoring"):
        if name in results:
            lines += [f"| {name} | median (min to max) |", "|---|---|"]
            lines += [f"| {row} | {_spread(value)} |" for row, value in results[name].items()]
            lines.append("")
    rate = results["matrix products, GFLOP/s"]
    return "\n".join([*lines, f"large float32 matrix products: {rate:.0f} GFLOP/s"])


def waited(quality: dict, one_thread: dict, *_: dict) -> list[str]:
    """Seconds to a quality: `fit` as measured, other loops by what a step of theirs takes."""
    names = ("fit", "plain loop", "products alone")
    lines = [
        f"| seconds until PESQ is {quality['PESQ']:g} | {' | '.join(names)} |",
        "|---|---|---|---|",
    ]
    for way, measured in quality["seconds"].items():
        share = [one_thread[name]["median"] / one_thread["fit"]["median"] for name in names]
        longest = quality["points"][way][-1]["epochs"]
        times = (
            [f"{measured * each:.1f}" for each in share]
            if measured is not None
            else ["never", "-", "-"]
        )
        ending = "" if measured is not None else f", {longest} epochs"
        lines.append(f"| {way}{ending} | {' | '.join(times)} |")
    return [*lines, ""]


def draw(results: dict, path: Path) -> None:
    """Milliseconds per step and run, as bars, for each number of threads."""
    measured = results["ms per step and run"]
    names = list(next(iter(measured.values())))
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    height = 0.8 / len(measured)
    for number, (threads, figures) in enumerate(measured.items()):
        places = [place + number * height for place in range(len(names))]
        medians = [figures[name]["median"] for name in names]
        bars = axes.barh(places, medians, height, label=threads)
        axes.bar_label(bars, fmt=" %.2f", fontsize=8)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(names))], names)
    axes.margins(x=0.1)  # room for the numbers
    axes.invert_yaxis()
    axes.set_xlabel("ms per step and run")
    axes.set_title(results["machine"], fontsize=8)
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _spread(value: dict) -> str:
    return f"{value['median']:.3g} ({value['min']:.3g} to {value['max']:.3g})"
