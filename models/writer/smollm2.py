"""SmolLM2-135M-Instruct writes the plot: one sentence that joins the measured facts about people and motion.

Without constraints such a small model hallucinates, so it only chooses the order of the facts and the words between
them. Decoding allows only the facts' own tokens (each as often as it occurs) and a few connecting words, and the
sentence may end only when all tokens of the facts are used. `invention` then checks the words again.
Shapes: B sentences written together, T tokens, V vocabulary.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, Field

from models.weights.packaged import MODELS, packaged
from models.writer.script import Script
from models.writer.template import arrange
from models.writer.writer import ScriptFacts

if TYPE_CHECKING:
    from torch import Tensor

CONNECTORS = (" while", " as", " and", " with", " in", ",")
MOST_CONNECTORS = 3
MOST_KNOWN = 20_000  # plots whose sentences a process caches
PROMPT = """Write one simple sentence from the facts.

Facts: a new shot begins; a wide shot of three people in the centre
Sentence: a new shot begins with a wide shot of three people in the centre.

Facts: a close-up of two people on the left and on the right; the picture moves slowly
Sentence: a close-up of two people on the left and on the right while the picture moves slowly.

Facts: no people are seen; almost nothing moves
Sentence: no people are seen and almost nothing moves.

"""


class SmolLm2Config(BaseModel, frozen=True, extra="forbid"):
    """The packaged SmolLM2-135M-Instruct writes the plot; the template replaces wrong sentences."""

    not_identity: ClassVar[tuple[str, ...]] = ("batch",)

    kind: Literal["smollm2"] = "smollm2"
    batch: int = Field(16, ge=1, description="keyframes per batch")
    longest: int = Field(48, ge=8, description="longest facts given to the model, in tokens")

    revision: ClassVar[str] = MODELS["smollm2"].revision


class SmolLm2Writer:
    """Characters and scene elements are the captions' own sentences; the plot is the model's if it is valid."""

    name = "smollm2"

    def __init__(self, config: SmolLm2Config) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.config = config
        self.revision = MODELS["smollm2"].revision
        self.licence = MODELS["smollm2"].licence
        folder = packaged("smollm2")
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._connectors = [self._tokens(word)[0] for word in CONNECTORS]
        self._stop = self._tokens(".")[0]
        self._written: dict[tuple[str, ...], tuple[str, str]] = {}

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        """One script for each keyframe, in order; equal facts are written once."""
        drafts = [arrange(one, "") for one in facts]
        if len(self._written) > MOST_KNOWN:
            self._written.clear()
        wanted = dict.fromkeys(draft.plots for draft in drafts if draft.plots not in self._written)
        self._write_plots(list(wanted))
        return [self._finished(draft) for draft in drafts]

    def _finished(self, draft: Script) -> Script:
        plot, reason = self._written[draft.plots]
        if reason:
            return replace(draft, reason=reason)
        return replace(draft, plots=(plot,), written_by="llm")

    def _write_plots(self, wanted: Sequence[tuple[str, ...]]) -> None:
        """Fills `_written` for each tuple of plot sentences: the model's sentence, or why there is none."""
        possible = []
        for plots in wanted:
            if len(plots) < 2:
                self._written[plots] = ("", "fewer than two facts to join")
            elif len(self._tokens(_facts_line(plots))) > self.config.longest:
                self._written[plots] = ("", f"facts longer than {self.config.longest} tokens")
            else:
                possible.append(plots)
        possible.sort(key=lambda plots: len(_facts_line(plots)))  # little padding inside a batch
        for start in range(0, len(possible), self.config.batch):
            batch = possible[start : start + self.config.batch]
            for plots, text in zip(batch, self._generate(batch), strict=True):
                self._written[plots] = (text, invention(text, plots))

    def _generate(self, batch: Sequence[tuple[str, ...]]) -> list[str]:
        """One sentence for each tuple of facts, by greedy decoding under the rules above."""
        import torch

        rules = [_Rules(self._fact_tokens(plots), self._connectors, self._stop) for plots in batch]
        with torch.inference_mode():
            cache, mask_BT, ids_BT, positions_BT = self._prefill(batch)
            while not all(rule.finished for rule in rules):
                logits_BV = self._model(
                    ids_BT, attention_mask=mask_BT, position_ids=positions_BT, past_key_values=cache, logits_to_keep=1
                ).logits[:, -1]
                chosen_B = [rule.choose(logits_V) for rule, logits_V in zip(rules, logits_BV, strict=True)]
                ids_BT = torch.tensor(chosen_B)[:, None]
                mask_BT = torch.cat([mask_BT, torch.ones_like(ids_BT)], dim=1)
                positions_BT = positions_BT[:, -1:] + 1
        return [_sentence(self._tokenizer.decode(rule.tokens)) for rule in rules]

    def _prefill(self, batch: Sequence[tuple[str, ...]]) -> "tuple[object, Tensor, Tensor, Tensor]":
        """The prompt, computed once and repeated for the batch, then each line of facts, padded on the left."""
        import torch
        from transformers import DynamicCache

        prompt_1T = torch.tensor([self._tokens(PROMPT)])
        cache = DynamicCache(config=self._model.config)
        self._model(prompt_1T, past_key_values=cache, logits_to_keep=1)
        cache.batch_repeat_interleave(len(batch))
        lines = [self._tokens(f"Facts: {_facts_line(plots)}\nSentence:") for plots in batch]
        longest = max(map(len, lines))
        ids_BT = torch.tensor([[self._stop] * (longest - len(line)) + line for line in lines])
        real_BT = torch.tensor([[0] * (longest - len(line)) + [1] * len(line) for line in lines])
        mask_BT = torch.cat([torch.ones(len(batch), prompt_1T.shape[1], dtype=torch.long), real_BT], dim=1)
        positions_BT = (mask_BT.cumsum(1) - 1)[:, prompt_1T.shape[1] :]
        return cache, mask_BT, ids_BT, positions_BT

    def _fact_tokens(self, plots: tuple[str, ...]) -> list[int]:
        return [token for fact in _facts(plots) for token in self._tokens(f" {fact}")]

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


class _Rules:
    """The allowed tokens of a sentence: unused tokens of the facts, connectors, and the stop when all are used."""

    def __init__(self, facts: Sequence[int], connectors: Sequence[int], stop: int) -> None:
        self._left = Counter(facts)
        self._connectors, self._stop = connectors, stop
        self._connectors_left = MOST_CONNECTORS
        self.tokens: list[int] = []
        self.finished = False

    def choose(self, logits_V: "Tensor") -> int:
        """The likeliest allowed token; once finished, the stop again."""
        if self.finished:
            return self._stop
        allowed = [token for token, count in self._left.items() if count > 0] or [self._stop]
        if self.tokens and self._left.total() and self._connectors_left and self.tokens[-1] not in self._connectors:
            allowed += self._connectors
        token = allowed[int(logits_V[allowed].argmax())]
        if self._left[token] > 0:
            self._left[token] -= 1
        elif token in self._connectors:
            self._connectors_left -= 1
        self.tokens.append(token)
        self.finished = token == self._stop
        return token


def _facts(plots: Sequence[str]) -> list[str]:
    return [plot[0].lower() + plot[1:].rstrip(".!? ") for plot in plots]


def _facts_line(plots: Sequence[str]) -> str:
    return "; ".join(_facts(plots))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]


def invention(sentence: str, plots: Sequence[str]) -> str:
    """Why a sentence is invalid, or "": it must have every fact word for word, and otherwise only connectors."""
    rest = _words(sentence)
    for fact in sorted(_facts(plots), key=len, reverse=True):
        if _words(fact) not in rest:
            return f"the model broke up {fact!r}"
        rest = rest.replace(_words(fact), " | ", 1)
    added = set(rest.split()) - {"|", *(word.strip() for word in CONNECTORS)}
    if added:
        return f"the model added {sorted(added)}"
    return "the model left facts unconnected" if "| |" in " ".join(rest.split()) else ""


def _words(text: str) -> str:
    """The bare words of a text, with a space at both ends so that only whole words are found."""
    words = re.findall(r"[a-z0-9'-]+", text.lower())
    return f" {' '.join(words)} "
