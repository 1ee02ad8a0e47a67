"""Training a network, and fine-tuning a spiking one through its codes."""

from .batches import TrainingData, augment
from .fine_tuning import fine_tune
from .from_scratch import accuracy, train
from .schedules import cosine_schedule, restarts_schedule, step_schedule

__all__ = [
    "TrainingData", "accuracy", "augment", "cosine_schedule", "fine_tune", "restarts_schedule",
    "step_schedule", "train",
]  # fmt: skip
