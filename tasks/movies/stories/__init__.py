"""Renders stories: plans the pieces of each story, makes and judges them, and assembles the movie and its page."""
