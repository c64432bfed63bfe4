"""Tables of many runs: training them, their records, and what these say of the paper's claims."""
