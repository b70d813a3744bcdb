"""From a snapshot to models: one training loop, and what each model is trained on."""
