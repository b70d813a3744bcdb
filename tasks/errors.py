"""The tree of all errors for users; each class is defined beside the code that raises it.

There are two roots, because models/ and storage/ don't import each other: errors of models/ derive from ModelError, all
others from MovieDreamerError. After some names follows a built-in class that they also derive from.

MovieDreamerError
├── StorageError                  a storage that cannot be read or written, or is full
├── ConfigError ValueError        a setting that cannot be used
├── FilmError ValueError          a film that cannot be used: a short code and a sentence that quotes the film
├── NoFilmsError                  no film is left
├── PlanError                     a film must be decoded as a whole; caught inside storage/decoding
├── StageError                    a stage failed, but not because of one of its films
├── LeakError                     training data is also held out
├── ClusterError                  Ray is missing, or lacks resources
├── JobError                      a cluster accepts no Ray job, or has lost one
├── TrainingError                 a training failed
├── DivergedError                 a loss that is not finite
├── TrainingMemoryError           the device is out of memory
├── MismatchedCheckpointError     a checkpoint of another model
├── ServersError                  servers cannot be used, found out before a flow starts
└── LocalApiError                 the local Prefect API did not start

ModelError
├── CheckpointError ValueError    a checkpoint is missing or holds something else
├── PackagedModelError ValueError a packaged model is missing or not the pinned one
├── MissingLibraryError ValueError a setting asks for a library that is not installed
├── ServerError                   a model's server cannot be used
├── RefusedError                  a server refuses one request; caught by the caller
├── PipelineError ValueError      a pipeline of diffusers cannot animate a keyframe with these settings
├── BudgetError                   the requests or tokens that a film may cost are used up
└── AnswerError ValueError        a model's answer cannot be used; caught by the caller, which asks again
"""

from models.errors import ModelError
from storage.errors import MovieDreamerError

FOR_USERS = (MovieDreamerError, ModelError)
"""Errors that are shown without a traceback."""
