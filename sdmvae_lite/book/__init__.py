"""What only chapters use: checks, figures, players and sliders."""
