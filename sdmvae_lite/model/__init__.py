"""The models of the book, and the mathematics they are made of."""
