"""Forecasts of purchases and spend: fitted here on collapsed histories, scored in SQL (dbt_project/macros/forecast)."""
