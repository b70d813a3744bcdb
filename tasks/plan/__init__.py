"""What a recipe needs, told without weights and without a GPU: steps and turns of the real models, for shapes alone."""
