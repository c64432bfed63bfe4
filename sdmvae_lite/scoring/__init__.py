"""How good a resynthesis is, how sparse a code, and how sure one can be of either."""
