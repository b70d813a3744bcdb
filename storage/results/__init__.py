"""Results of any system, as files: the layouts of other suites, and our own (docs/results-format.md)."""
