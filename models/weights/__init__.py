"""Where weights come from: checkpoints, installed packages, this repository; and models without any."""
