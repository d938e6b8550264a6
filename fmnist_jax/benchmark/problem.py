"""What is timed: a network with the settings of its training, and the memory traffic that it needs.

Imports neither JAX nor the rest of the package, so that an interpreter that has Keras or PyTorch alone can read it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from fmnist_jax.benchmark.networks import IMAGE_SIZE, NETWORKS, Layers, costs

Precision = Literal["", "float32", "tf32", "bfloat16"]

TRAIN_EXAMPLES, TEST_EXAMPLES = 60_000, 10_000
EVAL_BATCH = 500  # images in a batch of evaluation, for every candidate


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a candidate trains and evaluates; plain values, so that it travels as JSON.

    **Attributes:**

    - `network`: a name in `NETWORKS`, and of our network in `fmnist_jax.models`.
    - `optimizer`: `"rmsprop"` or `"adam"`, with the constants of `fmnist_jax.optim`.
    - `channels`: features of the first convolution, the others in proportion.
    - `precision`: of our matrix products: `"float32"`, `"tf32"`, `"bfloat16"`, or `""` for float32 at the backend's
      default, which every other candidate uses.
    - `algorithm`: of our convolutions, as `config.model.conv_algorithm`.
    """

    network: str
    optimizer: Literal["rmsprop", "adam"]
    batch_size: int = 256
    learning_rate: float = 1e-3
    channels: int = 32
    precision: Precision = ""
    algorithm: str = "auto"

    @property
    def layers(self) -> Layers:
        """The layers of the network in its width."""
        return NETWORKS[self.network](self.channels)

    def parameters(self) -> int:
        """Returns the number of trained parameters."""
        return sum(cost.parameters for cost in costs(self.layers))

    def flops(self, task: str) -> int:
        """Returns the floating-point operations per example of a step of `"train"` or `"evaluate"`.

        In training each layer takes as many again for the gradient of its kernel, and for that of its input, which
        the first layer does not need.
        """
        layers = [cost.flops for cost in costs(self.layers)]
        return 3 * sum(layers) - layers[0] if task == "train" else sum(layers)

    def traffic(self, task: str) -> float:
        """Returns the least memory traffic in bytes per example of a step of `"train"` or `"evaluate"`.

        Evaluation reads the image and the parameters. Training also writes and reads the output of each layer, which
        the backward pass needs, and reads and writes the parameters and the optimizer's state. A float takes 4 bytes.
        """
        if task == "evaluate":
            return IMAGE_SIZE**2 + 4 * self.parameters() / EVAL_BATCH
        outputs = sum(cost.outputs for cost in costs(self.layers))
        updated = {"rmsprop": 2, "adam": 3}[self.optimizer] * self.parameters()  # with the optimizer's state
        return IMAGE_SIZE**2 + 2 * 4 * (outputs + updated / self.batch_size)


PROBLEMS: Mapping[str, Problem] = {
    "model1": Problem("model1", "rmsprop"),
    "model2": Problem("model2", "rmsprop"),
    "model3": Problem("model3", "rmsprop"),
    "model4": Problem("model3", "adam"),
    "2c2d": Problem("2c2d", "adam", learning_rate=2.5e-4),
    "resnet8": Problem("resnet8", "adam", channels=16),
    "speednet": Problem("speednet", "adam"),
}
