"""Films that the project draws itself, with their truth beside them."""
