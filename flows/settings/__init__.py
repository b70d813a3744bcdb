"""Recipes, their settings, and the checks that settings fit together and that what they name is there."""
