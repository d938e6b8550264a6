"""PyTorch: eager, channels-last, or compiled; the data in memory as bytes, batches taken by index."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional

from fmnist_jax.benchmark import networks
from fmnist_jax.benchmark.candidates import Go, Implementation, Unavailable, network_tasks, random_images
from fmnist_jax.benchmark.problem import EVAL_BATCH, Problem

_Pair = tuple[torch.Tensor, torch.Tensor]


def make(problem: Problem, variant: str) -> Implementation:
    """Returns the implementation; `variant` is `"compile"`, `"channels-last"` or empty."""
    if variant == "compile" and not shutil.which(os.environ.get("CXX", "c++")):
        raise Unavailable("torch.compile needs a C++ compiler, and there is none")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # As JAX and TensorFlow do by default where a GPU has it: float32 products may be computed in TF32.
    torch.set_float32_matmul_precision("high")
    trainer = _Trainer(problem, variant)
    return Implementation(
        network_tasks(trainer.train, trainer.evaluate, problem.batch_size),
        parameters=sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad),
        device=trainer.device.type,
        versions={"torch": torch.__version__},
        device_memory=lambda: torch.cuda.max_memory_allocated() if trainer.device.type == "cuda" else None,
    )


def network(layers: networks.Layers, shape: networks.Shape = networks.IMAGE) -> nn.Sequential:
    """Returns the network in PyTorch's layers, from images `[batch, 1, 28, 28]` to logits."""
    return nn.Sequential(*(_module(layer, before) for layer, before in networks.placed(layers, shape)))


def _module(layer: networks.Layer, before: networks.Shape) -> nn.Module:
    match layer:
        case networks.Conv(features, size, padding, stride, bias):
            return nn.Conv2d(before.features, features, size, stride, padding, bias=bias)
        case networks.Norm(momentum, scale, bias):
            norm = nn.BatchNorm2d(before.features, networks.NORM_EPSILON, 1 - momentum)
            # The two only go together: one that is left out stays at 1 or 0, as in airbench.
            norm.weight.requires_grad_(scale)
            norm.bias.requires_grad_(bias)
            return norm
        case networks.Dense(features):
            return nn.Linear(before.features, features)
        case networks.Dropout(rate):
            return nn.Dropout(rate)
        case networks.Sum(body, shortcut):
            return _Sum(network(body, before), network(shortcut, before))
    return _PLAIN[layer]()


_PLAIN: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "pool": lambda: nn.MaxPool2d(2),
    "max": lambda: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
    "mean": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "flatten": nn.Flatten,
}


class _Sum(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.body(x)


class _Trainer:
    def __init__(self, problem: Problem, variant: str):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.layout = torch.channels_last if variant == "channels-last" else torch.contiguous_format
        self.batch_size, rate = problem.batch_size, problem.learning_rate
        self.model = network(problem.layers).to(self.device, memory_format=self.layout)
        self.optimizer: torch.optim.Optimizer
        if problem.optimizer == "adam":
            self.optimizer = torch.optim.Adam(self.model.parameters(), rate, eps=1e-7, fused=True)
        else:
            self.optimizer = torch.optim.RMSprop(self.model.parameters(), rate, alpha=0.9, eps=1e-7, foreach=True)
        self.loss = torch.compile(self._loss, dynamic=False) if variant == "compile" else self._loss

    def train(self, batches: int) -> Go:
        images, labels = self._data(batches * self.batch_size)

        def step(rows: torch.Tensor) -> _Pair:
            self.optimizer.zero_grad(set_to_none=True)
            loss, correct = self.loss(images[rows], labels[rows])
            loss.backward()
            self.optimizer.step()
            return loss.detach(), correct

        def go() -> None:
            self.model.train()
            _wait([step(rows) for rows in torch.randperm(len(labels), device=self.device).split(self.batch_size)])

        return go

    def evaluate(self, batches: int) -> Go:
        images, labels = self._data(batches * EVAL_BATCH)

        @torch.inference_mode()
        def go() -> None:
            self.model.eval()
            parts = zip(images.split(EVAL_BATCH), labels.split(EVAL_BATCH), strict=True)
            _wait([self.loss(*batch) for batch in parts])

        return go

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> _Pair:
        logits = self.model((images.float() / 255).to(memory_format=self.layout))
        return functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).sum()

    def _data(self, examples: int) -> _Pair:
        images, labels = random_images(examples)
        return torch.from_numpy(images)[:, None].to(self.device), torch.from_numpy(labels).long().to(self.device)


def _wait(sums: list[_Pair]) -> None:
    """Reads the means back, as every run does, which waits for the device."""
    losses, corrects = zip(*sums, strict=True)
    torch.stack(losses).mean().item(), torch.stack(corrects).sum().item()
