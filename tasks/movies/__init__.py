"""From models to movies: keyframes rendered, animated and shown."""
