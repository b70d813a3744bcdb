"""The figures of a run (docs/figures.md): what it rendered, beside its originals, becomes metrics.json."""
