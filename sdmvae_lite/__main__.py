"""``python -m sdmvae_lite`` is ``sdmvae``."""

from .cli import main

main()
