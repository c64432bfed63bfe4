"""Speech: corpora, their spectra, and the frames that a model is trained on."""
