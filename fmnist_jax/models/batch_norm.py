"""Batch normalisation whose statistics leave padding out (Ioffe & Szegedy 2015), and what its layers need to know.

A layer somewhere inside a network cannot see which rows of the batch are padding: the mask is passed around the
network's own arguments, in a context.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from fmnist_jax import ops

_MASK: contextvars.ContextVar[jax.Array | None] = contextvars.ContextVar("mask", default=None)


@contextlib.contextmanager
def batch_mask(mask: jax.Array | None) -> Iterator[None]:
    """Passes `mask`, `bool[batch]`, false for padding, to every batch normalisation called within; `None`: no padding.

    It reaches `BatchNorm` below and Linen's `BatchNorm`.
    """
    token = _MASK.set(mask)
    try:
        with linen.intercept_methods(_pass_mask) if mask is not None else contextlib.nullcontext():
            yield
    finally:
        _MASK.reset(token)


class BatchNorm(nnx.BatchNorm):
    """`nnx.BatchNorm` over the examples that `batch_mask` leaves; over a sharded batch, those of the whole batch."""

    def __call__(
        self, x: jax.Array, use_running_average: bool | None = None, *, mask: jax.Array | None = None
    ) -> jax.Array:
        running = self.use_running_average if use_running_average is None else use_running_average
        plain = self.axis in (-1, x.ndim - 1) and self.axis_name is None and self.use_fast_variance
        if running is None or running or mask is not None or not plain:
            mask = _for_batch(x) if mask is None else mask
            normalised: jax.Array = super().__call__(x, running, mask=mask)
            return normalised
        return self._by_batch(x)

    def _by_batch(self, x: jax.Array) -> jax.Array:
        """Normalises by the statistics of the batch, and updates the running ones."""
        default = jnp.ones(x.shape[-1]), jnp.zeros(x.shape[-1])
        scale, bias = (
            own if each is None else each[...] for each, own in zip((self.scale, self.bias), default, strict=True)
        )
        x, _, _, scale, bias = self.promote_dtype((x, self.mean[...], self.var[...], scale, bias), dtype=self.dtype)
        normalised, mean, variance = ops.batch_norm(x, scale, bias, _MASK.get(), self.epsilon)
        for average, new in ((self.mean, mean), (self.var, variance)):
            average[...] = self.momentum * average[...] + (1 - self.momentum) * new
        return normalised


def _for_batch(x: jax.Array) -> jax.Array | None:
    """Returns the mask in context in a shape that broadcasts to `x`, `[batch, ...]`."""
    mask = _MASK.get()
    return None if mask is None else mask.reshape(-1, *[1] * (x.ndim - 1))


def _pass_mask(method: Callable[..., Any], args: Any, kwargs: Any, context: linen.module.InterceptorContext) -> Any:
    if isinstance(context.module, linen.BatchNorm) and context.method_name == "__call__" and "mask" not in kwargs:
        kwargs = {**kwargs, "mask": _for_batch(args[0] if args else kwargs["x"])}
    return method(*args, **kwargs)
