"""Beside a run: its lock, Prefect's server, and what happens when a process or a machine is lost."""
