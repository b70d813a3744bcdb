"""Evaluation: metrics of any system's results as a stage, and the report that people share (docs/metrics.md)."""
