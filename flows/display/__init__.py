"""What people see: bars, tables, and Prefect's artifacts."""
