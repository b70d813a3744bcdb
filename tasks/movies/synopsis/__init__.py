"""A synopsis becomes a story by rules: words.py lists telling words, cast.py finds people, story.py makes the story."""
