"""A made-up shop whose truth is known: raw files of every contract table, with the dirt of real life.

`generating.generate` writes them. The world is drawn customer by customer with NumPy (`people`), their orders and all
else with DuckDB (`sales`, `contacts`, `wallets`, `identities`), spoilt on purpose (`dirt`) and written (`writing`).
"""
