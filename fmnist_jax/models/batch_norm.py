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
from flax import linen, nnx

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
        if mask is None:
            mask = _for_batch(x)
        normalised: jax.Array = super().__call__(x, use_running_average, mask=mask)
        return normalised


def _for_batch(x: jax.Array) -> jax.Array | None:
    """Returns the mask in context in a shape that broadcasts to `x`, `[batch, ...]`."""
    mask = _MASK.get()
    return None if mask is None else mask.reshape(-1, *[1] * (x.ndim - 1))


def _pass_mask(method: Callable[..., Any], args: Any, kwargs: Any, context: linen.module.InterceptorContext) -> Any:
    if isinstance(context.module, linen.BatchNorm) and context.method_name == "__call__" and "mask" not in kwargs:
        kwargs = {**kwargs, "mask": _for_batch(args[0] if args else kwargs["x"])}
    return method(*args, **kwargs)
