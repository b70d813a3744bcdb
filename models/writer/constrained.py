"""Decoding constrained to a JSON schema by llguidance: tokens that would violate the schema are masked.

Of the structured-generation libraries that vLLM and SGLang use, only llguidance needs no other package; it doesn't
depend on torch or transformers, so it doesn't break when they change.
Shapes: B sequences, T tokens, V vocabulary.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Grammar:
    """A JSON schema, compiled once for a tokenizer; raises ValueError if llguidance can't compile it."""

    def __init__(self, tokenizer: Any, vocabulary: int, schema: Mapping[str, Any]) -> None:
        try:
            from llguidance import LLMatcher
            from llguidance.hf import from_tokenizer
        except ModuleNotFoundError as error:
            cure = "a language model is held to its schema by llguidance: pip install 'moviedreamer[llm]'"
            raise ModuleNotFoundError(cure) from error

        self.tokenizer = from_tokenizer(tokenizer, n_vocab=max(vocabulary, len(tokenizer)))
        self.grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides={"whitespace_flexible": False})
        if problem := LLMatcher.validate_grammar(self.grammar, self.tokenizer):
            raise ValueError(f"the schema {json.dumps(schema)} can't be held to: {problem}")


class Constraint:
    """A logits processor for one call of `generate` with `count` prompts of `prompt` tokens each."""

    def __init__(self, grammar: Grammar, count: int, prompt: int) -> None:
        from llguidance import LLMatcher
        from llguidance.numpy import allocate_token_bitmask

        self._matchers = [LLMatcher(grammar.tokenizer, grammar.grammar) for _ in range(count)]
        self._end = grammar.tokenizer.eos_token
        self._prompt = prompt
        self._bits_BW = allocate_token_bitmask(count, grammar.tokenizer.vocab_size)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """scores_BV with -inf for tokens that the schema forbids; a finished sequence allows only the end token."""
        from llguidance.numpy import fill_next_token_bitmask

        allowed_BV = np.zeros(tuple(scores.shape), dtype=bool)
        for row, matcher in enumerate(self._matchers):
            if input_ids.shape[1] > self._prompt and not matcher.is_stopped():
                matcher.consume_token(int(input_ids[row, -1]))
            if matcher.is_error():
                raise RuntimeError(f"llguidance lost the schema: {matcher.get_error()}")
            if matcher.is_stopped():
                allowed_BV[row, self._end] = True
                continue
            fill_next_token_bitmask(matcher, self._bits_BW, row)
            bits_V = np.unpackbits(self._bits_BW[row].view(np.uint8), bitorder="little")[: scores.shape[1]]
            allowed_BV[row, : len(bits_V)] = bits_V
        return scores.masked_fill(~torch.from_numpy(allowed_BV).to(scores.device), float("-inf"))
