"""From a snapshot to models: one training loop, and the data of each model."""
