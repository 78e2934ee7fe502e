"""Score the true depth as if it had been found: `python docs/figures/true_depth_score.py DATA`, a set of `dfd generate`.

Prints the PSNR with which the true disparity, over the sharp picture and traced again, explains the blurred one. For
docs/dfd-scores.md.
"""

import sys
from statistics import fmean, stdev

from torch import Tensor

from taichi_bokeh.dfd.data.dataset import DefocusDataset
from taichi_bokeh.dfd.evaluation.evaluate import Reblur, evaluate
from taichi_bokeh.dfd.observation import Observation

RAYS = 128


def main(folder: str) -> None:
    """Print a row for each held-out sample, and the means."""
    dataset = DefocusDataset(folder, "validation")
    truths = iter([dataset[number].disparity for number in range(len(dataset))])

    def know(seen: Observation) -> Tensor:
        truth = next(truths)
        assert truth is not None
        return truth[None]

    measures = ("rmse_px", "retrace_psnr_db", "retrace_edge_psnr_db")
    results = evaluate(know, dataset, "truth", Reblur(None, RAYS)).results
    for result in results:
        sys.stdout.write(f"{result.name}: {', '.join(f'{name} {result.metrics[name]:.1f}' for name in measures)}\n")
    for name in measures:
        values = [value for result in results if (value := result.metrics[name]) is not None]
        sys.stdout.write(f"{name}: {fmean(values):.1f} ± {stdev(values):.1f}\n")


if __name__ == "__main__":
    main(sys.argv[1])
