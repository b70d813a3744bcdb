"""Recipes, their settings, and checks: do the settings fit together, and does what they name exist?"""
