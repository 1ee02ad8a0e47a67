"""Training a network; calibrating and fine-tuning a spiking one through its codes."""

from .batches import TrainingData, augment
from .calibrating import calibrate
from .fine_tuning import fine_tune
from .from_scratch import accuracy, train
from .schedules import (
    cosine_schedule,
    one_cycle_schedule,
    restarts_schedule,
    step_schedule,
)

__all__ = [
    "TrainingData", "accuracy", "augment", "calibrate", "cosine_schedule", "fine_tune",
    "one_cycle_schedule", "restarts_schedule", "step_schedule", "train",
]  # fmt: skip
