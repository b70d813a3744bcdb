"""From models to movies: keyframes rendered, animated, shown and measured."""
