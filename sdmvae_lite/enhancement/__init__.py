"""A model of clean speech put to work: noisy speech is taken apart into speech and noise."""
