"""The four convolution outputs under each 2x2 pooling window, without the ones that the pooling drops.

Groups of windows may reach beyond the result, whose windows are then the first ones.

A *phase* is one of the four places in the window, `[batch, height, width, out]` for so many windows down and across;
four of them are in row-major order of the places. Where the windows are worked out in groups, *windows* are a grid of
four phases for each place in the group, else a grid of one. Each class below works phases out in its own way; what it
makes of the kernel first is called *prepared*.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from fmnist_jax.ops import chunks, patches, winograd
from fmnist_jax.ops.patches import Pair

_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))

Windows = list[list[list[jax.Array]]]


class Phases(Protocol):
    """How phases are worked out."""

    @property
    def group(self) -> Pair:
        """Windows of a group, down and across."""

    @property
    def size(self) -> Pair:
        """Height and width of the images that `forward` and `backward` take."""

    def prepare(self, kernel: jax.Array) -> Any:
        """Returns what `forward` and `backward` take of `kernel[kernel height, kernel width, in, out]`."""

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        """Returns the cotangent of the kernel for the one that `backward` returns."""

    def forward(self, x: jax.Array, prepared: Any) -> Windows:
        """Returns the windows for `x`."""

    def backward(self, x: jax.Array, prepared: Any, windows: Windows) -> tuple[jax.Array, jax.Array]:
        """Returns the cotangents of `x` and of what is prepared for those of the windows."""

    def most(self, prepared: Any) -> int:
        """Returns how many examples `forward` and `backward` should be given at a time, at most."""


@dataclasses.dataclass(frozen=True)
class ByPatches:
    """A strided matrix product for each phase; for a single input channel, sums of shifted images.

    **Attributes:** `size` of the padded images; `strides` of the convolution; `pooled`: height and width of the result.
    """

    size: Pair
    strides: Pair
    pooled: Pair
    group = (1, 1)

    def prepare(self, kernel: jax.Array) -> jax.Array:
        return kernel

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        return d_prepared

    def forward(self, x: jax.Array, prepared: jax.Array) -> Windows:
        phase = self._sums if prepared.shape[2] == 1 else self._product
        return [[[phase(x, prepared, start) for start in self._starts()]]]

    def backward(self, x: jax.Array, prepared: jax.Array, windows: Windows) -> tuple[jax.Array, jax.Array]:
        ((phases,),) = windows
        d_kernels = [
            patches.kernel_gradient(x, phase, prepared.shape[:2], start=start, strides=self._apart())
            for start, phase in zip(self._starts(), phases, strict=True)
        ]
        unpooled = patches.interleave([phases[:2], phases[2:]])
        d_x = patches.input_gradient(prepared, unpooled, x.shape[1:3], strides=self.strides)
        return d_x, functools.reduce(jnp.add, d_kernels).reshape(prepared.shape)

    def most(self, prepared: jax.Array) -> int:
        return chunks.most(patches.bytes_each(prepared, (2 * self.pooled[0], 2 * self.pooled[1])))

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
    """Winograd's filtering, a tile holding a group of windows; for strides of 1.

    **Attributes:** `tiling`, of an even number of pixels a side.
    """

    tiling: winograd.Tiling

    @property
    def group(self) -> Pair:
        return tuple(m // 2 for m in self.tiling.tile)

    @property
    def size(self) -> Pair:
        return self.tiling.covered

    def prepare(self, kernel: jax.Array) -> winograd.Kernel:
        return self.tiling.kernel(kernel)

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        return self.tiling.kernel_gradient(d_prepared)

    def forward(self, x: jax.Array, prepared: winograd.Kernel) -> Windows:
        pixels = winograd.forward(self.tiling, x, prepared)
        (down, across) = self.group
        return [[[pixels[2 * i + p][2 * j + q] for p, q in _PLACES] for j in range(across)] for i in range(down)]

    def backward(self, x: jax.Array, prepared: winograd.Kernel, windows: Windows) -> tuple[jax.Array, jax.Array]:
        pixels = [[four[2 * p + q] for four in row for q in range(2)] for row in windows for p in range(2)]
        return winograd.backward(self.tiling, x, prepared, pixels)

    def most(self, prepared: winograd.Kernel) -> int:
        return self.tiling.most
