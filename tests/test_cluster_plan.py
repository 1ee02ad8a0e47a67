"""What 50,000 pictures cost on a cluster, by hand."""

import pytest

from fsrepro.experiments.cluster_plan import cluster_plan

ONE = {"seconds_per_picture": 0.1, "start_up": 60.0, "network_bytes": 2e6, "picture_bytes": 40.0}


def test_hours_are_those_of_the_longest_row_of_tasks():
    plan = cluster_plan(ONE, [1, 10, 100], pictures=3_000, pictures_per_task=100).set_index(
        "workers"
    )
    assert (plan["tasks"] == 30).all()
    # 30 tasks of 10 s in a row; three; one, and 70 workers have nothing to do.
    assert (plan["wall_hours"] * 3600).tolist() == pytest.approx([360, 90, 70])
    assert (plan["worker_hours"] * 3600).tolist() == pytest.approx([360, 900, 2100])
    assert plan["megabytes_sent"].tolist() == pytest.approx([2.12, 20.12, 60.12])


def test_a_last_task_of_few_pictures_counts_as_one():
    (row,) = cluster_plan(ONE, [2], pictures=250, pictures_per_task=100).to_dict("records")
    assert row["tasks"] == 3
    assert row["wall_hours"] * 3600 == pytest.approx(60 + 20)


def test_a_cluster_has_workers():
    with pytest.raises(ValueError, match="at least one worker, got 0"):
        cluster_plan(ONE, [0])
