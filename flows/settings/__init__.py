"""What a recipe can be told, and what follows from it."""
