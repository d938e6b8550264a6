"""The four convolution outputs under each 2x2 pooling window, without the ones that the pooling drops.

A *phase* is one of the four places in the window: `[batch, pooled height, pooled width, out]` in row-major order of the
places. Each class below works phases out in its own way; what it makes of the kernel first is called *prepared*.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Protocol

import jax
import jax.numpy as jnp

from fmnist_jax.ops import patches, winograd
from fmnist_jax.ops.patches import Pair

_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


class Phases(Protocol):
    """How phases are worked out."""

    def prepare(self, kernel: jax.Array) -> jax.Array:
        """Returns what `forward` and `backward` take of `kernel[kernel height, kernel width, in, out]`."""

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        """The transpose of `prepare`."""

    def forward(self, x: jax.Array, prepared: jax.Array) -> list[jax.Array]:
        """Returns the phases for `x[batch, height, width, in]`."""

    def backward(self, x: jax.Array, prepared: jax.Array, phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Returns the cotangents of `x` and `prepared` for those of the phases."""

    def bytes_each(self, prepared: jax.Array) -> int:
        """Returns the memory that an example's intermediate results take."""


@dataclasses.dataclass(frozen=True)
class ByPatches:
    """A strided matrix product for each phase; for a single input channel, sums of shifted images.

    **Attributes:** `strides` of the convolution; `pooled`: height and width after the pooling.
    """

    strides: Pair
    pooled: Pair

    def prepare(self, kernel: jax.Array) -> jax.Array:
        return kernel

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        return d_prepared

    def forward(self, x: jax.Array, prepared: jax.Array) -> list[jax.Array]:
        phase = self._sums if prepared.shape[2] == 1 else self._product
        return [phase(x, prepared, start) for start in self._starts()]

    def backward(self, x: jax.Array, prepared: jax.Array, phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        d_kernels = [
            patches.kernel_gradient(x, phase, prepared.shape[:2], start=start, strides=self._apart())
            for start, phase in zip(self._starts(), phases, strict=True)
        ]
        unpooled = patches.interleave([phases[:2], phases[2:]])
        d_x = patches.input_gradient(prepared, unpooled, x.shape[1:3], strides=self.strides)
        return d_x, functools.reduce(jnp.add, d_kernels).reshape(prepared.shape)

    def bytes_each(self, prepared: jax.Array) -> int:
        return patches.bytes_each(prepared, (2 * self.pooled[0], 2 * self.pooled[1]))

    def _product(self, x: jax.Array, kernel: jax.Array, start: Pair) -> jax.Array:
        taken = patches.extract(x, kernel.shape[:2], self.pooled, start=start, strides=self._apart())
        return taken @ kernel.reshape(-1, kernel.shape[-1])

    def _sums(self, x: jax.Array, kernel: jax.Array, start: Pair) -> jax.Array:
        """A matrix product over so few taps would be slower than sums, which are computed in one go with the rest."""
        taps = itertools.product(range(kernel.shape[0]), range(kernel.shape[1]))
        shifted = [
            patches.strided(x, (start[0] + i, start[1] + j), self.pooled, self._apart()) * kernel[i, j, 0]
            for i, j in taps
        ]
        return functools.reduce(jnp.add, shifted)

    def _starts(self) -> list[Pair]:
        return [tuple(place * stride for place, stride in zip(at, self.strides, strict=True)) for at in _PLACES]

    def _apart(self) -> Pair:
        return tuple(2 * stride for stride in self.strides)


@dataclasses.dataclass(frozen=True)
class ByWinograd:
    """Winograd's filtering with the pooling window as its tile; for strides of 1."""

    tiling: winograd.Tiling

    def prepare(self, kernel: jax.Array) -> jax.Array:
        return self.tiling.kernel(kernel)

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        return self.tiling.kernel_gradient(d_prepared)

    def forward(self, x: jax.Array, prepared: jax.Array) -> list[jax.Array]:
        pixels = self.tiling.outputs(winograd.products(self.tiling.inputs(x), prepared))
        return [phase for row in pixels for phase in row]

    def backward(self, x: jax.Array, prepared: jax.Array, phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        return winograd.gradients(self.tiling, x, prepared, [phases[:2], phases[2:]])

    def bytes_each(self, prepared: jax.Array) -> int:
        return self.tiling.bytes_each(prepared)
