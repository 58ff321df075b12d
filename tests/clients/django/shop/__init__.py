"""A small Django shop that logs, traces and counts, as a client of Trefoil."""
