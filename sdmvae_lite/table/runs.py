"""The runs of a table: one training each, and the one name that its row and its files have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..config import ModelConfig, TrainingConfig
from ..model.models import VAE

ROWS_OF_TABLE_1 = tuple(
    config
    for m in (32, 64)
    for config in (
        ModelConfig("vae", m=m),
        *(ModelConfig("vsc", m=m, alpha=alpha) for alpha in (0.05, 0.5, 0.9)),
        ModelConfig("sdm-vae", m=m),
        *(ModelConfig("sdm-vae", m=m, dictionary="dct", k=k) for k in (32, 64)),
    )
)


@dataclass(frozen=True)
class Run:
    """One training of one row: the model starts from ``training.seed``, and so does its data order.

    >>> Run(ModelConfig("sdm-vae", m=32, dictionary="dct", k=64), TrainingConfig(seed=3)).name
    'sdm-dct64-32-seed3'
    """

    model: ModelConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    variant: str = ""  # what the row is called beside its model, where the name does not say all
    kind: type[VAE] | None = None  # the class of a reader's own model; None is the package's

    @property
    def row(self) -> str:
        """The row of the table that it is a run of: model and variant."""
        kind = self.kind.__name__.lower() if self.kind else ""
        order = "" if self.training.shuffle else "unshuffled"
        return "-".join(filter(None, (self.model.name, kind, order, self.variant)))

    @property
    def name(self) -> str:
        """What its files are called: the row of the table and the seed."""
        return f"{self.row}-seed{self.training.seed}"


def table_1(
    seeds: int = 5,
    training: TrainingConfig = TrainingConfig(),
    rows: Sequence[ModelConfig] = ROWS_OF_TABLE_1,
) -> list[Run]:
    """The runs of the paper's Table 1: fourteen rows, each from ``seeds`` seeds, all rows first.

    Other ``rows`` make another table. See :doc:`13_rebuild_table_1`.

    >>> [run.name for run in table_1(seeds=1)][:3]
    ['vae-32-seed0', 'vsc-0.05-32-seed0', 'vsc-0.5-32-seed0']
    >>> len(table_1())
    70
    """
    return [Run(row, replace(training, seed=seed)) for seed in range(seeds) for row in rows]


def check_runs(runs: Sequence[Run]) -> None:
    """See that there are runs, that they can be trained together, and that no two share a name.

    See :doc:`12_bring_your_own_speech`.

    Raises:
        ValueError: saying which is not so.
    """
    if not runs:
        raise ValueError("there are no runs to train")
    if len({run.model.n_bins for run in runs}) > 1:
        raise ValueError("the runs' models have different numbers of bins: train them apart")
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"two runs are called {name}, and so would their files be: give them other seeds, "
                "or train them apart, in a folder each"
            )
