"""The report: one HTML page without network, the same as Markdown and JSON."""

from benchmarks.report.write import write_report

__all__ = ["write_report"]
