"""A sparsity-promoting dictionary model for variational autoencoders.

What a user needs stands here, loaded when it is first asked for; the folders, in the order in which
data flows, hold the rest: ``speech``, ``model``, ``training``, ``scoring``, ``enhancement``,
``table``, ``book``.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
