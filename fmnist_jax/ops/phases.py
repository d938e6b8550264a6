"""How a pooled convolution goes through a batch: what it works out of the phases, and what follows and precedes them.

Phases and maps are those of `fmnist_jax.ops.filters`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax

from fmnist_jax.ops import chunks, fourier, patches
from fmnist_jax.ops.filters import Filter, of_map
from fmnist_jax.ops.patches import Pair


class Phases(Protocol):
    """A way to work phases out."""

    @property
    def windows(self) -> Pair:
        """How many windows there are, down and across."""

    def forward(self, x: jax.Array, kernel: jax.Array, finish: Callable[[list[jax.Array]], Any]) -> tuple[Any, Any]:
        """Convolves `x[batch, height, width, in]` with `kernel[kernel height, kernel width, in, out]`.

        **Returns:** `finish` of the phases, of a few examples at a time, and what `backward` takes as residuals.
        """

    def backward(
        self, residuals: Any, begin: Callable[..., jax.Array], *batched: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the cotangents of `x` and of the kernel, for that of the map, which is `begin(*batched)`."""


@dataclasses.dataclass(frozen=True)
class Filtered:
    """All that a filter does, one chunk of examples after the other.

    **Attributes:** `filter`; `at`: where the image lies among the zeros around it.
    """

    filter: Filter
    at: Pair

    @property
    def windows(self) -> Pair:
        return self.filter.windows

    def forward(self, x: jax.Array, kernel: jax.Array, finish: Callable[[list[jax.Array]], Any]) -> tuple[Any, Any]:
        prepared = self.filter.prepare(kernel)
        chunk = chunks.size(x.shape[0], self.filter.most(prepared))
        return chunks.mapped(lambda x: finish(self.filter.forward(self._framed(x), prepared)), chunk, x), (x, kernel)

    def backward(
        self, residuals: Any, begin: Callable[..., jax.Array], *batched: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        x, kernel = residuals
        prepared = self.filter.prepare(kernel)

        def chunked(x: jax.Array, *batched: jax.Array) -> tuple[jax.Array, jax.Array]:
            d_framed, d_prepared = self.filter.backward(self._framed(x), prepared, begin(*batched))
            return patches.framed(d_framed, tuple(-n for n in self.at), x.shape[1:3]), d_prepared

        d_x, d_prepared = chunks.summed(chunked, chunks.size(x.shape[0], self.filter.most(prepared)), x, *batched)
        return d_x, self.filter.restore(d_prepared)

    def _framed(self, x: jax.Array) -> jax.Array:
        return patches.framed(x, self.at, self.filter.size)


@dataclasses.dataclass(frozen=True)
class ByFourier:
    """Products of spectra.

    **Attributes:** `spectrum`, whose result has an even number of pixels a side.
    """

    spectrum: fourier.Spectrum

    @property
    def windows(self) -> Pair:
        return tuple(n // 2 for n in self.spectrum.out)

    def forward(self, x: jax.Array, kernel: jax.Array, finish: Callable[[list[jax.Array]], Any]) -> tuple[Any, Any]:
        return fourier.forward(self.spectrum, x, kernel, lambda map_: finish(of_map(map_)))

    def backward(
        self, residuals: Any, begin: Callable[..., jax.Array], *batched: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        return fourier.backward(self.spectrum, residuals, begin, *batched)
