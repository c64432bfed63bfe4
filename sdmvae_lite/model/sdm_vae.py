"""The paper's model: a dictionary in front of the decoder, and the price of its sparse code."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from ..config import ModelConfig
from .dictionaries import build_dictionary, check_dictionary
from .divergences import ard_kl, optimal_gamma
from .vae import VAE, hold


class SDMVAE(VAE):
    """VAE whose code is a sparse combination of dictionary atoms (paper, Section 3).

    The encoder infers a, the decoder sees z = D a. D, (m, code_size) with unit-norm columns, is
    what the configuration names unless one is given. One that is learned starts there, and its
    columns are brought to unit norm where they are used. See :doc:`13_train_sdm_vae`.
    """

    takes = "sdm-vae"
    dictionary: Tensor  # D, (m, code_size); if it is learned, up to the norms of its columns

    def __init__(
        self, config: ModelConfig = ModelConfig(model="sdm-vae"), dictionary: Tensor | None = None
    ) -> None:
        super().__init__(config)
        dictionary = build_dictionary(config) if dictionary is None else dictionary
        check_dictionary(dictionary)
        found, needed = tuple(dictionary.shape), (config.m, config.code_size)
        if found != needed:
            raise ValueError(f"the dictionary has shape {found}, the model needs {needed}")
        hold(self, "dictionary", dictionary.clone(), config.dictionary == "learned")

    def atoms(self) -> Tensor:
        """Return D as the decoder meets it, (m, code_size), its columns of unit norm."""
        if self.config.dictionary == "learned":
            return normalize(self.dictionary, dim=0)
        return self.dictionary

    def synthesis(self, code: Tensor) -> Tensor:
        """Return z = D a, row by row: (batch, k) to (batch, m) (paper, eq. 4)."""
        return code @ self.atoms().T

    def kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return ½ log(1 + μ²/σ²), (batch, k): the KL at the variances of paper, eq. 9."""
        return ard_kl(mu, logvar)

    def gamma(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the optimal prior variances μ² + σ², (batch, k) (paper, eq. 9)."""
        return optimal_gamma(mu, logvar)
