"""The report: one self-contained page per version."""

from orchestration.lib.report.render import render_report

__all__ = ["render_report"]
