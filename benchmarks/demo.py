"""What `make demo` left in a storage: its newest snapshot, and the recipe's work and models of it."""

from dataclasses import dataclass

from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.movies import render
from tasks.progress import silent
from tasks.stage import Work
from tasks.training import tokens, train_autoencoder, train_autoregressive, train_decoder


@dataclass(frozen=True)
class Demo:
    """The flows' stages, asked for again; what is finished is not done again."""

    storage: Storage
    settings: Recipe
    snapshot: Snapshot

    @classmethod
    def of(cls, storage: Storage, recipe: str = "laptop") -> "Demo":
        """Raises StorageError when there is no snapshot."""
        return cls(storage, resolve(recipe), snapshots.load(storage, snapshots.newest(storage)))

    def tokens(self) -> tuple[Work, str]:
        """With the autoencoder that made them."""
        some = self.storage, self.snapshot
        model = train_autoencoder.run(self.settings.train_autoencoder(), *some, self.settings.cluster, silent)
        return tokens.run(self.settings.frozen, *some, model, self.settings.cluster, silent), model

    def autoregressive(self, work: Work) -> str:
        return train_autoregressive.run(
            self.settings.train_autoregressive(), self.storage, self.snapshot, work, self.settings.cluster, silent
        )

    def decoder(self, work: Work, autoencoder: str) -> str:
        some = self.storage, self.snapshot, autoencoder, work
        return train_decoder.run(self.settings.train_decoder(), *some, self.settings.cluster, silent)

    def renders(self) -> Work:
        some, cluster = (self.storage, self.snapshot), self.settings.cluster
        work, model = self.tokens()
        decoder = self.decoder(work, model)
        return render.run(self.settings.render, *some, work, decoder, self.autoregressive(work), cluster, silent)
