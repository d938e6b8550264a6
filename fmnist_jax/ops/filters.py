"""The four convolution outputs under each 2x2 pooling window, of a few images, without those that the pooling drops.

A *phase* is one of the four places in the window, `[batch, height, width, out]` for so many windows down and across;
four of them are in row-major order of the places. In their places they are a *map* `[batch, 2 height, 2 width, out]`.
There may be more windows than the result has, whose windows are then the first ones. Each class below works phases out
in its own way; what it makes of the kernel first is called *prepared*.
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


class Filter(Protocol):
    """How phases are worked out from images with the zeros around them."""

    @property
    def size(self) -> Pair:
        """Height and width of the images that `forward` and `backward` take."""

    @property
    def windows(self) -> Pair:
        """How many windows there are, down and across."""

    def prepare(self, kernel: jax.Array) -> Any:
        """Returns what `forward` and `backward` take of `kernel[kernel height, kernel width, in, out]`."""

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        """Returns the cotangent of the kernel for the one that `backward` returns."""

    def forward(self, x: jax.Array, prepared: Any) -> list[jax.Array]:
        """Returns the phases for `x`."""

    def backward(self, x: jax.Array, prepared: Any, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the cotangents of `x` and of what is prepared for that of the map."""

    def most(self, prepared: Any) -> int:
        """Returns how many examples `forward` and `backward` should be given at a time, at most."""


@dataclasses.dataclass(frozen=True)
class ByPatches:
    """A strided matrix product for each phase; for a single input channel, sums of shifted images.

    **Attributes:** `size` of the padded images; `strides` of the convolution; `windows`: how many, down and across.
    """

    size: Pair
    strides: Pair
    windows: Pair

    def prepare(self, kernel: jax.Array) -> jax.Array:
        return kernel

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        return d_prepared

    def forward(self, x: jax.Array, prepared: jax.Array) -> list[jax.Array]:
        phase = self._sums if prepared.shape[2] == 1 else self._product
        return [phase(x, prepared, start) for start in self._starts()]

    def backward(self, x: jax.Array, prepared: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        d_kernels = [
            patches.kernel_gradient(x, phase, prepared.shape[:2], start=start, strides=self._apart())
            for start, phase in zip(self._starts(), of_map(cotangent), strict=True)
        ]
        d_x = patches.input_gradient(prepared, cotangent, x.shape[1:3], strides=self.strides)
        return d_x, functools.reduce(jnp.add, d_kernels).reshape(prepared.shape)

    def most(self, prepared: jax.Array) -> int:
        return chunks.most(patches.bytes_each(prepared, (2 * self.windows[0], 2 * self.windows[1])))

    def _product(self, x: jax.Array, kernel: jax.Array, start: Pair) -> jax.Array:
        taken = patches.extract(x, kernel.shape[:2], self.windows, start=start, strides=self._apart())
        return taken @ kernel.reshape(-1, kernel.shape[-1])

    def _sums(self, x: jax.Array, kernel: jax.Array, start: Pair) -> jax.Array:
        """A matrix product over so few taps would be slower than sums, which are computed in one go with the rest."""
        taps = itertools.product(range(kernel.shape[0]), range(kernel.shape[1]))
        shifted = [
            patches.strided(x, (start[0] + i, start[1] + j), self.windows, self._apart()) * kernel[i, j, 0]
            for i, j in taps
        ]
        return functools.reduce(jnp.add, shifted)

    def _starts(self) -> list[Pair]:
        return [tuple(place * stride for place, stride in zip(at, self.strides, strict=True)) for at in _PLACES]

    def _apart(self) -> Pair:
        return tuple(2 * stride for stride in self.strides)


@dataclasses.dataclass(frozen=True)
class ByWinograd:
    """Winograd's filtering, a tile holding whole windows; for strides of 1.

    **Attributes:** `tiling`, of an even number of pixels a side.
    """

    tiling: winograd.Tiling

    @property
    def size(self) -> Pair:
        return self.tiling.covered

    @property
    def windows(self) -> Pair:
        return tuple(n // 2 for n in self.tiling.whole)

    def prepare(self, kernel: jax.Array) -> winograd.Kernel:
        return self.tiling.kernel(kernel)

    def restore(self, d_prepared: jax.Array) -> jax.Array:
        return self.tiling.kernel_gradient(d_prepared)

    def forward(self, x: jax.Array, prepared: winograd.Kernel) -> list[jax.Array]:
        return of_map(winograd.forward(self.tiling, x, prepared))

    def backward(self, x: jax.Array, prepared: winograd.Kernel, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return winograd.backward(self.tiling, x, prepared, cotangent)

    def most(self, prepared: winograd.Kernel) -> int:
        return self.tiling.most


def of_map(map_: jax.Array) -> list[jax.Array]:
    """Takes a map apart."""
    windows = tuple(n // 2 for n in map_.shape[1:3])
    return [patches.strided(map_, place, windows, (2, 2)) for place in _PLACES]
