"""Learning rates over the steps of a training."""

from __future__ import annotations

from keras.optimizers import schedules

__all__ = [
    "SCHEDULES", "cosine_schedule", "one_cycle_schedule", "restarts_schedule", "step_schedule",
]  # fmt: skip


def cosine_schedule(learning_rate: float, steps: int) -> schedules.CosineDecay:
    """From ``learning_rate`` to zero along half a cosine (Loshchilov & Hutter 2017)."""
    return schedules.CosineDecay(learning_rate, steps)


def one_cycle_schedule(learning_rate: float, steps: int) -> schedules.CosineDecay:
    """From a tenth up to ``learning_rate`` over a quarter of the steps, then to zero on a cosine.

    After Smith & Topin (2019), for few epochs at large rates.
    """
    up = steps // 4
    return schedules.CosineDecay(
        learning_rate / 10, steps - up, warmup_target=learning_rate, warmup_steps=up
    )


def restarts_schedule(learning_rate: float, steps: int) -> schedules.CosineDecayRestarts:
    """Two halves of a cosine, the second twice as long (Loshchilov & Hutter 2017, T_mult = 2)."""
    return schedules.CosineDecayRestarts(learning_rate, steps // 3, t_mul=2.0)


def step_schedule(learning_rate: float, steps: int) -> schedules.PiecewiseConstantDecay:
    """A tenth after half of the steps and again after three quarters (He et al. 2016)."""
    rates = [learning_rate, learning_rate / 10, learning_rate / 100]
    return schedules.PiecewiseConstantDecay([steps // 2, steps * 3 // 4], rates)


SCHEDULES = {
    "cosine": cosine_schedule, "one cycle": one_cycle_schedule, "restarts": restarts_schedule,
    "step": step_schedule,
}  # fmt: skip
