"""What the commands of `moviedreamer` do; flows/cli.py declares their options, but for those in stories.py."""
