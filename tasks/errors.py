"""What can go wrong, as a tree; each class stands beside what raises it.

It has two roots, because models/ and storage/ never import each other: classes of models/ descend from ModelError, all
others from MovieDreamerError. Behind a name stands the built-in class that it also is.

MovieDreamerError
├── StorageError                  a storage that cannot be read or written, or is full
├── ConfigError ValueError        a setting that cannot be used
├── FilmError ValueError          a film that cannot be used: a short code and a sentence that quotes the film
├── NoFilmsError                  not one film is left
├── PlanError                     all of a film must be decoded; storage/decoding catches it itself
├── StageError                    a stage that failed for another reason than its films
├── LeakError                     what is learnt from is also held out
├── ClusterError                  Ray is not there, or has not what is asked of it
├── JobError                      a cluster that takes no Ray job, or has lost one
├── TrainingError                 a training that did not come to its end
├── DivergedError                 a loss that is not finite
├── TrainingMemoryError           the device's memory ran out
├── MismatchedCheckpointError     a checkpoint of another model
├── ServersError                  servers that cannot be used, asked before a flow starts
└── LocalApiError                 the local Prefect API did not start

ModelError
├── CheckpointError ValueError    a checkpoint is missing or holds something else
├── PackagedModelError ValueError a packaged model is missing or not the pinned one
├── MissingLibraryError ValueError a setting asks for a library that is not installed
├── ServerError                   a model's server that cannot be used
├── RefusedError                  a server will not answer one request; who asked catches it
├── PipelineError ValueError      a pipeline of diffusers cannot animate a keyframe as it is asked to
├── BudgetError                   the requests or tokens that a film may cost are used up
└── AnswerError ValueError        a model's answer that cannot be used; who asked catches it and asks again
"""

from models.errors import ModelError
from storage.errors import MovieDreamerError

FOR_USERS = (MovieDreamerError, ModelError)
"""Both roots: errors whose message is enough, without a traceback."""
