"""Kill training at random moments, resume it, and compare the final weights.

Usage: python benchmarks/kill.py [--kills 20] [--seed S]

A network is trained on the sample radiographs, each time in a process of its
own: first without interruption, then again and again, killed by SIGKILL at a
moment drawn uniformly from the time that the uninterrupted run took, start of
the program included, and resumed; every third time also the resumed process is
killed once. Half of the runs train a small network from random weights, half
fine-tune the default model, with rehearsal and held to it. The weights must
have the same SHA-256 as those of the uninterrupted run, and each kill may cost
no more than one epoch that is repeated. The exit code is 1 if something differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_xnet.io.samples import NAMES, open_sample
from napari_xnet.models import show_model
from napari_xnet.training import Pair, TrainingConfig
from napari_xnet.training.run import Run, create_run

SHORT = {
    "patch_px": 64,
    "sampling": {"batch": 2, "steps": 3},
    "epochs": 12,
    "patience": None,
}
CONFIGS = {
    "none": SHORT | {"architecture": {"name": "xnet", "filters": [8, 8, 8, 8]}},
    "default": SHORT | {"fine_tuning": {"rehearsal": 1.0}, "optimiser": {"learning_rate": 1e-4}},
}
"""Settings by the name of the base."""

# A line for each step, at once on disk, tells which epochs a process began.
CHILD = """
import sys
from napari_xnet.training.events import Step
from napari_xnet.training.run import Run
from napari_xnet.training.execution import execute

folder, trace = sys.argv[1:]
with open(trace, "a", buffering=1) as file:
    def report(event):
        if isinstance(event, Step) and event.step:
            print(event.epoch, file=file)
    run = Run.open(folder)
    if not run.record.finished:
        execute(run, report)
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes
    ----------
    sha256 : str
        Of the weights of the model.
    kills : int
        How often it was killed before it ended.
    repeated : int
        Epochs that were begun by a process although an earlier one had begun them.
    epochs : int
    models : int
        In the store, where there should be one.
    seconds : float
        Time of the last process.
    """

    sha256: str
    kills: int
    repeated: int
    epochs: int
    models: int
    seconds: float

    def complaints(self, other: "Outcome") -> list[str]:
        """Say what is not as in the uninterrupted run."""
        found = []
        if self.sha256 != other.sha256:
            found.append("the weights differ")
        if self.epochs != other.epochs:
            found.append(f"{self.epochs} epochs instead of {other.epochs}")
        if self.repeated > self.kills:
            found.append(f"{self.repeated} epochs were repeated")
        if self.models != 1:
            found.append(f"{self.models} models were saved")
        return found


def main() -> None:
    """Print a line for each trial and what came of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    rng = np.random.default_rng(call.seed)

    done = failed = killed = 0
    for number, base in enumerate(CONFIGS, start=1):
        whole = trial(base, [])
        print(
            f"from {base}, uninterrupted: {whole.seconds:.1f} s, {whole.epochs} epochs, "
            f"{whole.sha256[:12]}",
            flush=True,
        )
        while done < call.kills * number // len(CONFIGS):
            moments = [float(rng.uniform(0, whole.seconds))]
            if done % 3 == 2:
                moments.append(float(rng.uniform(0, whole.seconds)))
            outcome = trial(base, moments)
            if not outcome.kills:
                continue  # it was faster than the first one, and ended before
            done += 1
            killed += outcome.kills
            complaints = outcome.complaints(whole)
            failed += bool(complaints)
            after = ", ".join(f"{one:.1f}" for one in moments[: outcome.kills])
            print(
                f"{done:3}  killed after {after} s  {outcome.repeated} repeated  "
                f"{outcome.sha256[:12]}  {'; '.join(complaints) or 'the same'}",
                flush=True,
            )
    print(f"{done} runs, {killed} kills: {done - failed} the same, {failed} different")
    sys.exit(int(failed > 0))


def trial(base: str, moments: Sequence[float]) -> Outcome:
    """Train from the start, killed once at each moment (in s), then to the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = folder / "models"
        run = create_run(
            "small",
            pairs(),
            TrainingConfig.parse(CONFIGS[base]),
            base=base,
            models_folder=models,
            folder=folder / "runs",
        )
        kills = 0
        traces = []
        seconds = 0.0
        for moment in [*moments, None]:
            traces.append(folder / f"trace-{len(traces)}")
            start = time.perf_counter()
            child = subprocess.Popen([sys.executable, "-c", CHILD, run.folder, traces[-1]])
            try:
                child.wait(moment)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                kills += 1
                continue
            seconds = time.perf_counter() - start
            if child.returncode:
                raise SystemExit(f"Training failed after {kills} kills, see above.")
            break
        begun = [set(map(int, path.read_text().split())) for path in traces if path.exists()]
        run = Run.open(run.folder)
        return Outcome(
            sha256=show_model(run.record.model, models).weights_sha256,
            kills=kills,
            repeated=sum(map(len, begun)) - len(set().union(*begun)),
            epochs=run.history()[-1].epoch,
            models=len(list(models.iterdir())),
            seconds=seconds,
        )


def pairs() -> list[Pair]:
    """Return the sample radiographs with their labels, every fourth pixel of each axis."""
    made = []
    for name in NAMES:
        image, labels = (np.asarray(layer[0])[::4, ::4] for layer in open_sample(name))
        made.append(Pair(name, image, labels, name))
    return made


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
