"""Progress bars, tables and Prefect's artifacts."""
