r"""The book's models, each in a module of its own, to be read beside its equations.

All share one encoder body, and most one decoder (paper, Section 4.1.2):

.. math::
    s \xrightarrow{\text{encoder}} q(\text{code} \mid s) \xrightarrow{\text{sample}} z
      \xrightarrow{\text{decoder}} \log\sigma^2_\theta(z)

and differ in what the encoder infers and in its prior:

- `VAE`: a Gaussian code, a standard normal prior;
- `VSC`: a spike-and-slab code, a spike-and-slab prior;
- `SDMVAE`: a Gaussian code a with z = D a, a zero-mean prior with the optimal variances γ;
- `StudentTVAE`: a Gaussian code, a Student-t prior;
- `LogLinearVAE`: log σ² = b + D a, any of these priors, and exact zeros if wanted.
"""

from __future__ import annotations

from threading import Lock

import torch

from ..config import ModelConfig
from .loglinear import LogLinearVAE as LogLinearVAE
from .sdm_vae import SDMVAE as SDMVAE
from .student_t import StudentTVAE as StudentTVAE
from .vae import INPUT_FLOOR as INPUT_FLOOR
from .vae import VAE as VAE
from .vae import ModelOutput as ModelOutput
from .vae import loss as loss
from .vae import reparametrise as reparametrise
from .vsc import VSC as VSC
from .vsc import relaxed_gate as relaxed_gate

CLASSES = {kind.takes: kind for kind in (VAE, VSC, SDMVAE, StudentTVAE, LogLinearVAE)}

_SEEDING = Lock()  # layers draw from the global generator: one thread at a time


def build_model(config: ModelConfig, seed: int | None = None, kind: type[VAE] | None = None) -> VAE:
    """Return the model that ``config`` names, initialised from ``seed`` (None: torch's generator).

    ``kind`` is the class of a model of one's own, built from the same configuration. Torch's
    global random state is left as it was when a seed is given. See :doc:`05_train_a_vae`.

    >>> build_model(ModelConfig(model="sdm-vae", dictionary="dct", k=64), seed=0).dictionary.shape
    torch.Size([32, 64])
    """
    kind = kind or CLASSES[config.model]
    if seed is None:
        return kind(config)
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config)
