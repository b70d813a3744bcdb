"""Renders stories: plans what each needs, makes it piece by piece, judges it, and assembles the movie and its page."""
