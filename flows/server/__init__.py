"""The lock of a storage, Prefect's local API, runs as Ray jobs, and recovery of runs that were lost."""
