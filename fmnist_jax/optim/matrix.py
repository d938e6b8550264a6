"""Methods that update a kernel `[..., out]` as a matrix, `[product of the rest, out]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.typing import ArrayLike
from optax import GradientTransformation, Schedule

from fmnist_jax.optim.groups import parameter_groups


def muon(
    rate: Schedule,
    weight_decay: GradientTransformation,
    learning_rate: ArrayLike,
    num_classes: int | None,
    adam_learning_rate: ArrayLike,
    momentum: ArrayLike,
    b1: ArrayLike,
    b2: ArrayLike,
    eps: ArrayLike,
) -> GradientTransformation:
    """Orthogonalised momentum for kernels, AdamW for head and biases (Jordan 2024; scaled as Liu et al. 2025)."""

    orthogonal = optax.contrib.scale_by_muon(beta=momentum, eps=eps, weight_dimension_numbers=_muon_axes)
    directions = {
        "muon": optax.chain(orthogonal, optax.stateless(_muon_scale)),
        "adam": optax.chain(optax.scale_by_adam(b1, b2, eps), optax.scale(adam_learning_rate / learning_rate)),
    }
    grouped = parameter_groups(directions, _with_adam_for_the_head("muon", num_classes))
    return optax.chain(grouped, weight_decay, optax.scale_by_learning_rate(rate))


def _with_adam_for_the_head(name: str, num_classes: int | None) -> Callable[[str, Any], str]:
    """Returns the function for `parameter_groups` to `name` for kernels but the last layer's, and `"adam"`."""

    def group(path: str, leaf: Any) -> str:
        is_head = leaf.ndim == 2 and leaf.shape[-1] == num_classes
        return "adam" if leaf.ndim < 2 or is_head else name

    return group


def _muon_axes(params: Any) -> Any:
    axes = optax.contrib.MuonDimensionNumbers
    return jax.tree.map(lambda w: axes(tuple(range(w.ndim - 1)), w.ndim - 1), params)


def _muon_scale(updates: Any, params: Any = None) -> Any:
    """Scales an orthogonal update to the root mean square that Adam's has (Liu et al. 2025, eq. 4)."""
    del params
    return jax.tree.map(lambda u: 0.2 * max(u.size // u.shape[-1], u.shape[-1]) ** 0.5 * u, updates)


def soap(
    rate: Schedule,
    weight_decay: GradientTransformation,
    num_classes: int | None,
    b1: ArrayLike,
    b2: ArrayLike,
    eps: ArrayLike,
    frequency: ArrayLike,
) -> GradientTransformation:
    """SOAP for kernels, AdamW for head and biases (Vyas et al. 2024, Algorithm 3).

    The gradients of a softmax's layer sum to zero over the classes: in that direction of its eigenbasis there is
    rounding error alone, which SOAP would scale up.
    """
    directions = {"soap": scale_by_soap(b1, b2, eps, frequency), "adam": optax.scale_by_adam(b1, b2, eps)}
    grouped = parameter_groups(directions, _with_adam_for_the_head("soap", num_classes))
    return optax.chain(grouped, weight_decay, optax.scale_by_learning_rate(rate))


class SoapKernel(NamedTuple):
    """The state of a kernel as a matrix `[long, short]`, transposed where it has more columns than rows.

    **Attributes:**

    - `mu`: `float32[long, short]`, the average of gradients; `nu`: of their squares in the eigenbasis.
    - `covariance`: `float32[short, short]`, the average of `G^T G`; `basis`: its eigenvectors, in columns.
    """

    mu: jax.Array
    nu: jax.Array
    covariance: jax.Array
    basis: jax.Array


class SoapState(NamedTuple):
    """The number of steps, `int32[]`, and a `SoapKernel` for each kernel."""

    steps: jax.Array
    kernels: Any


def scale_by_soap(b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, frequency: ArrayLike) -> GradientTransformation:
    """Adam in the eigenbasis of Shampoo's preconditioner of each kernel's shorter side: the paper's one-sided version.

    The eigenbasis is that of the first gradient, for which nothing moves, and is refreshed every `frequency` steps by
    a step of power iteration and a QR decomposition (Algorithm 4). Of kernels only, `[..., out]`.
    """

    def begin(w: jax.Array) -> SoapKernel:
        matrix = _tall(w)
        side = matrix.shape[1]
        zeros = jnp.zeros_like(matrix)
        return SoapKernel(zeros, jnp.zeros_like(zeros), jnp.zeros((side, side), w.dtype), jnp.eye(side, dtype=w.dtype))

    def step(gradient: jax.Array, old: SoapKernel, count: jax.Array) -> tuple[jax.Array, SoapKernel]:
        g = _tall(gradient)
        # The first gradient is for the eigenbasis alone.
        mu = jnp.where(count == 0, 0.0, b1 * old.mu + (1.0 - b1) * g)
        nu = jnp.where(count == 0, 0.0, b2 * old.nu + (1.0 - b2) * (g @ old.basis) ** 2)
        t = jnp.maximum(count, 1)
        rotated = mu @ old.basis / (1.0 - b1**t) / (jnp.sqrt(nu / (1.0 - b2**t)) + eps)
        direction = rotated @ old.basis.T
        covariance = jnp.asarray(b2 * old.covariance + (1.0 - b2) * (g.T @ g))
        refresh = jnp.where(count == 0, 2, (count % jnp.round(frequency) == 0).astype(int))
        basis = lax.switch(refresh, (_kept, _power_iterated, _eigenvectors), covariance, old.basis)
        return _untall(direction, gradient.shape), SoapKernel(mu, nu, covariance, basis)

    def init(params: Any) -> SoapState:
        return SoapState(jnp.int32(0), jax.tree.map(begin, params))

    def update(gradients: Any, state: SoapState, params: Any = None) -> tuple[Any, SoapState]:
        del params
        found = jax.tree.map(lambda g, kernel: step(g, kernel, state.steps), gradients, state.kernels)
        directions, kernels = (jax.tree.map(lambda _, both, i=i: both[i], gradients, found) for i in (0, 1))
        return directions, SoapState(state.steps + 1, kernels)

    return GradientTransformation(init, update)


def _kept(covariance: jax.Array, basis: jax.Array) -> jax.Array:
    del covariance
    return basis


def _power_iterated(covariance: jax.Array, basis: jax.Array) -> jax.Array:
    return jnp.linalg.qr(covariance @ basis)[0]


def _eigenvectors(covariance: jax.Array, basis: jax.Array) -> jax.Array:
    """The eigenvectors by falling eigenvalue: power iteration keeps to that order."""
    del basis
    return jnp.linalg.eigh(covariance)[1][:, ::-1]


def _tall(w: jax.Array) -> jax.Array:
    """Returns the kernel `[..., out]` as a matrix with no more columns than rows."""
    matrix = w.reshape(-1, w.shape[-1])
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T


def _untall(matrix: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return (matrix if matrix.shape[1] == shape[-1] else matrix.T).reshape(shape)
