"""The runs of a table: one training each, and the one name that its row and its files have."""

from __future__ import annotations

import re
from collections import Counter
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
# What may come after the paper: codes whose scale, dictionary or number of zeros is fixed.
_LOGLINEAR = ModelConfig("loglinear-vae", m=64, dictionary="learned")
ROWS_AFTER_THE_PAPER = (
    *(ModelConfig("student-vae", m=m) for m in (32, 64, 128)),
    ModelConfig("student-vae", nu=1.0),
    *(ModelConfig("sdm-vae", dictionary="learned", k=k) for k in (32, 64)),
    *(replace(_LOGLINEAR, m=m) for m in (16, 32, 64, 128)),
    *(replace(_LOGLINEAR, dictionary="dct", m=m) for m in (32, 64)),
    *(replace(_LOGLINEAR, prior=prior) for prior in ("student-t", "paper")),
    *(replace(_LOGLINEAR, m=128, nonzero=count) for count in (4, 8, 16, 32)),
    replace(_LOGLINEAR, m=128, nonzero=16, thinning=8),
    replace(_LOGLINEAR, m=128, nonzero=4, parting=100.0),
    replace(_LOGLINEAR, dictionary="dct", m=128, nonzero=16),
)


@dataclass(frozen=True)
class Run:
    """One training of one row: weights, data order and noise start from ``training.seed``.

    >>> Run(ModelConfig("sdm-vae", m=32, dictionary="dct", k=64), TrainingConfig(seed=3)).name
    'sdm-dct64-32-seed3'
    """

    model: ModelConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    variant: str = ""  # tells rows apart that differ in more than their model
    kind: type[VAE] | str | None = None  # a class of one's own, or, in a record, its name

    def __post_init__(self) -> None:
        if not (isinstance(self.variant, str) and re.fullmatch(r"[A-Za-z0-9._+-]*", self.variant)):
            raise ValueError(
                f"the variant {self.variant!r} is part of a file's name: "
                "use letters, digits and . _ + - for it"
            )

    @property
    def class_name(self) -> str:
        """The name of a class of one's own, empty for the package's."""
        kind = self.kind or ""
        return kind if isinstance(kind, str) else kind.__name__

    @property
    def row(self) -> str:
        """The row of the table that it is a run of."""
        order = "" if self.training.shuffle else "unshuffled"
        schedule = "" if self.training.schedule == "constant" else self.training.schedule
        parts = (self.model.name, self.class_name.lower(), schedule, order, self.variant)
        return "-".join(filter(None, parts))

    @property
    def name(self) -> str:
        """What its files are called: the row of the table and the seed."""
        return f"{self.row}-seed{self.training.seed}"


def table_1(
    seeds: int = 5,
    training: TrainingConfig = TrainingConfig(),
    rows: Sequence[ModelConfig] = ROWS_OF_TABLE_1,
) -> list[Run]:
    """Return ``seeds`` runs of each of Table 1's fourteen rows, or of others; all rows first.

    >>> [run.name for run in table_1(seeds=1)][:3]
    ['vae-32-seed0', 'vsc-0.05-32-seed0', 'vsc-0.5-32-seed0']
    """
    return [Run(row, replace(training, seed=seed)) for seed in range(seeds) for row in rows]


def check_runs(runs: Sequence[Run]) -> None:
    """Check that there are runs, and that no two share a name; raise ValueError otherwise."""
    if not runs:
        raise ValueError("there are no runs to train")
    ((name, number),) = Counter(run.name for run in runs).most_common(1)
    if number > 1:
        raise ValueError(
            f"two runs are called {name}, and so would their files be: give them other seeds, "
            'or each a variant, as in Run(model, training, variant="lr-0.001")'
        )
