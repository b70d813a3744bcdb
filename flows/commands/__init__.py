"""What the commands of `moviedreamer` do; flows/cli.py declares their options."""
