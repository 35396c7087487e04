"""What `tenure run` imports on its way. Loaded once into the server that test processes are forked from."""

from __future__ import annotations

import dbt.adapters.duckdb
import dbt.cli.main
import great_expectations
import great_expectations.expectations

import expectations.data_docs
import expectations.runner
import expectations.sql_rule
import orchestration.cli
import orchestration.definitions
import orchestration.lib.executing
import orchestration.lib.loading
import orchestration.lib.report.render

__all__ = ["dbt", "expectations", "great_expectations", "orchestration"]
