"""A sparsity-promoting dictionary model for variational autoencoders."""

__version__ = "0.1.0"
