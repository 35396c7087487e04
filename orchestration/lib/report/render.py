"""From a marts file to one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

TEMPLATE = "template.html.j2"


def render_report(marts_path: Path, out_path: Path, *, manifest_info: Mapping[str, Any]) -> None:
    """Write the report of a marts file.

    `manifest_info` is the manifest of the version as far as it is known: `dataset`, `version`, `created_at`,
    `data_start`, `data_end` (ISO texts or None), `reporting_currency`, `business_timezone`, `is_synthetic`, `checks` (a
    list of check results as in the manifest), `code` (versions by package), `data_docs` (relative path or None). Only
    the first three must be there.

    The page holds its charts, their data and the chart library, and forbids the browser every request. Scripts are let
    run by their hash, so that text from the data cannot become one. About 5 MB, of which 4.8 are the library.
    """
    import duckdb
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from orchestration.lib.report import figures, quality
    from orchestration.lib.report.charts import Context

    data_end = manifest_info.get("data_end")
    context = Context(
        data_end=date.fromisoformat(data_end) if data_end else None,
        currency=manifest_info.get("reporting_currency") or "",
    )
    connection = duckdb.connect(str(marts_path), read_only=True)
    try:
        headlines = figures.headlines(connection, context)
        sections = figures.sections(connection, context)
        accounting = quality.load_accounting(connection)
        quarantine = quality.quarantine(connection)
    finally:
        connection.close()
    checks, failed_checks = quality.checks(manifest_info.get("checks", []))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    library = _script_text(get_plotlyjs())
    drawing = _script_text((Path(__file__).parent / "draw.js").read_text(encoding="utf-8"))
    page = environment.get_template(TEMPLATE).render(
        info=manifest_info,
        headlines=headlines,
        chapters=[(title, list(group)) for title, group in groupby(sections, key=lambda section: section.chapter)],
        accounting=accounting,
        quarantine=quarantine,
        checks=checks,
        failed_checks=failed_checks,
        script_hashes=[_hash(library), _hash(drawing)],
        library=Markup(library),
        drawing=Markup(drawing),
        charts=Markup(_charts(sections)),
    )
    out_path.write_text(page, encoding="utf-8")


def _charts(sections: list[Any]) -> str:
    """The figures as JSON that is safe inside of a script element."""
    charts = {section.id: json.loads(section.chart.figure.to_json()) for section in sections if section.chart}
    return json.dumps(charts, separators=(",", ":")).replace("<", "\\u003c")


def _script_text(script: str) -> str:
    """A script as the browser will read it between its tags: its hash must be taken of the same characters."""
    return script.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
