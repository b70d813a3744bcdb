"""Estimates of a flow's hours, memory and cost, before it runs."""
