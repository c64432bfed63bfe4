"""Training: one loop for every model, its checkpoints and its batches."""
