"""SIGKILL at random moments and before every write: a run or study that is resumed ends as the one nobody touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from kill_and_resume import RUN, Start, Subject, kill_and_resume, kill_at_every_write, study
from process_group import Pair
from run_script import Forked, start_script
from tries import SEED, tries

pytestmark = pytest.mark.faults

# Chunks of a few runs, so that a resume has something to go on from.
LINEAR = study(study__epochs=20, study__trials=8, study__seeds=8)
CNN = study(study__models="model1", study__epochs=5, study__trials=3, study__seeds=4)


@pytest.mark.parametrize(
    ("subject", "kills", "start"),
    [
        pytest.param(RUN, 100, Forked, id="run"),
        pytest.param(LINEAR, 80, Forked, id="tuned study"),
        pytest.param(CNN, 40, Forked, id="tuned study of a CNN"),
        pytest.param(RUN, 20, start_script, id="run, imports included"),
        pytest.param(RUN, 20, Pair, id="one of two processes of a run"),
        pytest.param(LINEAR, 20, Pair, id="one of two processes of a tuned study"),
    ],
)
def test_killed_at_random(subject: Subject, kills: int, start: Start, tmp_path: Path):
    assert kill_and_resume(tmp_path, tries(kills), SEED, subject, start) == []


@pytest.mark.parametrize("subject", [pytest.param(RUN, id="run"), pytest.param(study(), id="tuned study")])
def test_killed_before_every_write(subject: Subject, tmp_path: Path):
    """With FAULTS_SCALE below 1, before every so many of them."""
    assert kill_at_every_write(tmp_path, subject, step=1000 // tries(1000)) == []
