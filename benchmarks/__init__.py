"""How fast, how big: the product beside hand-written SQL, pandas and Polars on the same orders. `make bench`."""
