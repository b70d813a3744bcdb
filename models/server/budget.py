"""What a film may cost: requests sent and tokens reported, counted before the next request goes out."""

from collections import Counter

from models.server import BudgetError, ServerConfig


class Budget:
    """Counts by film. Tokens are known once an answer is there, so those under way may exceed the budget."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.requests: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()

    def request(self, film_id: str) -> None:
        """One more request; raises BudgetError when the film has no more left."""
        for unit, used, most in (
            ("requests", self.requests[film_id], self._config.requests_a_film),
            ("tokens", self.tokens[film_id], self._config.tokens_a_film),
        ):
            if most is not None and used >= most:
                raise BudgetError(
                    f"film {film_id} has used up its {most} {unit}: raise server.{unit}_a_film and run again; "
                    "films that were finished are kept"
                )
        self.requests[film_id] += 1

    def spent(self, film_id: str, tokens: int) -> None:
        """What an answer cost."""
        self.tokens[film_id] += tokens
