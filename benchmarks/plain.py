"""The loop as most people would write it first, which everything else is held against."""

import torch
from torch.utils.data import DataLoader, TensorDataset

from sdmvae_lite.model.models import VAE, loss


def train_plainly(model: VAE, frames: torch.Tensor) -> None:
    """One epoch: a DataLoader with one frame a sample, Adam as it comes, each loss read."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    loader = DataLoader(TensorDataset(frames), batch_size=128, shuffle=True)
    total = 0.0
    for (batch,) in loader:
        reconstruction, kl = loss(model, batch, model(batch))
        optimiser.zero_grad()
        (reconstruction + kl).backward()
        optimiser.step()
        total += (reconstruction + kl).item()
