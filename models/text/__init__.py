"""Text for language models and from them: prompts, answers, sentences."""
