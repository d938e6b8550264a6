"""Update rules from their definitions, in NumPy float64: w0, gradients, hyperparameters to the w after each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _sgd(w, gradients, *, learning_rate):
    for g in gradients:
        w = w - learning_rate * g
        yield w


def _momentum(w, gradients, *, learning_rate, momentum):
    v = 0
    for g in gradients:
        v = momentum * v + g
        w = w - learning_rate * v
        yield w


def _nesterov(w, gradients, *, learning_rate, momentum):
    v = 0
    for g in gradients:
        v = momentum * v + g
        w = w - learning_rate * (g + momentum * v)
        yield w


def _rmsprop(w, gradients, *, learning_rate, decay, eps):
    v = 0
    for g in gradients:
        v = decay * v + (1 - decay) * g**2
        w = w - learning_rate * g / np.sqrt(v + eps)
        yield w


def keras_adam(w, gradients, *, learning_rate, b1, b2, eps):
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)
        yield w


def _adamw(w, gradients, *, learning_rate, b1, b2, eps, weight_decay):
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - learning_rate * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + weight_decay * w)
        yield w


def _cautious_adamw(w, gradients, *, learning_rate, b1, b2, eps, weight_decay):
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        u = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        mask = u * g > 0
        w = w - learning_rate * (mask * u * w.size / (mask.sum() + 1) + weight_decay * w)
        yield w


def _nadam(w, gradients, *, learning_rate, b1, b2, eps, weight_decay=0.0):
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        w = w - learning_rate * (ahead / (np.sqrt(v / (1 - b2**t)) + eps) + weight_decay * w)
        yield w


def _lion(w, gradients, *, learning_rate, b1, b2, weight_decay):
    m = 0
    for g in gradients:
        w = w - learning_rate * (np.sign(b1 * m + (1 - b1) * g) + weight_decay * w)
        m = b2 * m + (1 - b2) * g
        yield w


def _adagrad(w, gradients, *, learning_rate, eps):
    total = 0.1
    for g in gradients:
        total = total + g**2
        w = w - learning_rate * g / np.sqrt(total + eps)
        yield w


def _schedule_free(w, gradients, *, learning_rate, b1, b2, eps):
    """Yields the average x, at which it is evaluated; gradients are those at y."""
    x = z = w
    v = 0
    for t, g in enumerate(gradients, start=1):
        v = b2 * v + (1 - b2) * g**2
        z = z - learning_rate * g / (np.sqrt(v / (1 - b2**t)) + eps)
        x = (1 - 1 / t) * x + z / t
        yield x


def _radam(w, gradients, *, learning_rate, b1, b2, eps):
    """Rectified from rho = 5 on, as in its authors' code; the paper has 4."""
    m = v = 0
    rho_inf = 2 / (1 - b2) - 1
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        rho, direction = rho_inf - 2 * t * b2**t / (1 - b2**t), m / (1 - b1**t)
        if rho >= 5:
            r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            direction = r * direction / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - learning_rate * direction
        yield w


def _adabelief(w, gradients, *, learning_rate, b1, b2, eps):
    m = s = 0
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        w = w - learning_rate * m / (1 - b1**t) / (np.sqrt(s / (1 - b2**t)) + eps)
        yield w


def _adan(w, gradients, *, learning_rate, b1, b2, b3, eps, weight_decay):
    """Algorithm 1 with its betas turned to 1 - beta, bias correction and a first difference of 0, as the authors'."""
    beta1, beta2, beta3 = 1 - b1, 1 - b2, 1 - b3
    m = v = n = 0
    last = gradients[0]
    for t, g in enumerate(gradients, start=1):
        m = (1 - beta1) * m + beta1 * g
        v = (1 - beta2) * v + beta2 * (g - last)
        n = (1 - beta3) * n + beta3 * (g + (1 - beta2) * (g - last)) ** 2
        last = g
        ahead = m / (1 - b1**t) + (1 - beta2) * v / (1 - b2**t)
        w = w - learning_rate * (ahead / (np.sqrt(n / (1 - b3**t)) + eps) + weight_decay * w)
        yield w


def _adopt(w, gradients, *, learning_rate, b1, b2, eps):
    """Algorithm 2, clipped; the first gradient only begins v."""
    m, v = 0, gradients[0] ** 2
    yield w
    for t, g in enumerate(gradients[1:], start=1):
        m = b1 * m + (1 - b1) * np.clip(g / np.maximum(np.sqrt(v), eps), -(t**0.25), t**0.25)
        v = b2 * v + (1 - b2) * g**2
        w = w - learning_rate * m
        yield w


def _ademamix(w, gradients, *, learning_rate, b1, b2, b3, alpha, eps, weight_decay):
    fast = slow = v = 0
    for t, g in enumerate(gradients, start=1):
        fast, slow, v = b1 * fast + (1 - b1) * g, b3 * slow + (1 - b3) * g, b2 * v + (1 - b2) * g**2
        direction = (fast / (1 - b1**t) + alpha * slow) / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - learning_rate * (direction + weight_decay * w)
        yield w


def _lamb(w, gradients, *, learning_rate, b1, b2, eps, weight_decay):
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        r = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        trust = np.linalg.norm(w) / np.linalg.norm(r) if w.ndim > 1 else 1
        w = w - learning_rate * (trust * r + weight_decay * w)
        yield w


def _novograd(w, gradients, *, learning_rate, b1, b2, eps):
    m, v = 0, np.sum(gradients[0] ** 2)
    for t, g in enumerate(gradients):
        v = b2 * v + (1 - b2) * np.sum(g**2) if t else v
        m = b1 * m + g / (np.sqrt(v) + eps)
        w = w - learning_rate * m
        yield w


def _sophia(w, gradients, *, learning_rate, b1, b2, eps, gamma, weight_decay):
    """As optax: m is corrected for its bias, h is estimated after the step. The Hessian is the identity."""
    m = h = 0
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        direction = np.clip(m / (1 - b1**t) / np.maximum(gamma * h, eps), -1, 1)
        h = b2 * h + (1 - b2) if t % 10 == 1 else h
        w = w - learning_rate * (direction + weight_decay * w)
        yield w


def sam(w, gradients, *, learning_rate, momentum, rho):
    """The gradient at w' is w': the loss is half the square of w."""
    v = 0
    for g in gradients:
        v = momentum * v + w + rho * g / np.linalg.norm(g)
        w = w - learning_rate * v
        yield w


def prodigy(w, gradients, *, learning_rate, b1, b2, eps, d0=1e-6):
    """Algorithm 4 of Mishchenko & Defazio 2024 with Adam's bias correction, as optax; `w` is all parameters."""
    start, d = w, d0
    m = v = r = s = 0
    b3 = np.sqrt(b2)
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * d * g, b2 * v + (1 - b2) * d**2 * g**2
        rate = learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        r = b3 * r + rate * (d / d0) * d * np.sum(g * (start - w))
        s = b3 * s + rate * (d / d0) * d * g
        used, d = d, max(d, r / np.sum(np.abs(s)))
        w = w - used * rate * m / (np.sqrt(v) + d * eps)
        yield w


def soap(w, gradients, *, learning_rate, b1, b2, eps, frequency, weight_decay):
    """Of a matrix with no more columns than rows: Algorithm 3 of Vyas et al. 2024 with the left basis the identity."""
    right = (1 - b2) * gradients[0].T @ gradients[0]
    basis = np.linalg.eigh(right)[1][:, ::-1]
    m = v = np.zeros_like(w)
    w = w - learning_rate * weight_decay * w
    yield w
    for t, g in enumerate(gradients[1:], start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * (g @ basis) ** 2
        direction = (m @ basis) / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) @ basis.T
        w = w - learning_rate * (direction + weight_decay * w)
        yield w
        right = b2 * right + (1 - b2) * g.T @ g
        if t % frequency == 0:
            basis = np.linalg.qr(right @ basis)[0]


def _schedule_free_sgd(w, gradients, *, learning_rate, b1):
    """Yields the average x, at which it is evaluated; gradients are those at y."""
    x = z = w
    for t, g in enumerate(gradients, start=1):
        z = z - learning_rate * g
        x = (1 - 1 / t) * x + z / t
        yield x


RULES: dict[str, Callable[..., Any]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "rmsprop": _rmsprop,
    "adam": keras_adam,
    "adamw": _adamw,
    "cautious-adamw": _cautious_adamw,
    "nadam": _nadam,
    "nadamw": _nadam,
    "radam": _radam,
    "adabelief": _adabelief,
    "adan": _adan,
    "adopt": _adopt,
    "ademamix": _ademamix,
    "lamb": _lamb,
    "novograd": _novograd,
    "lion": _lion,
    "sophia": _sophia,
    "adagrad": _adagrad,
    "schedule-free-sgd": _schedule_free_sgd,
    "schedule-free-adamw": _schedule_free,
}
