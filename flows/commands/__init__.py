"""The commands of `moviedreamer` that are more than a call."""
