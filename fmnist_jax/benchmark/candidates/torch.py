"""PyTorch: eager, channels-last, or compiled; the data in memory as bytes, batches taken by index."""

from __future__ import annotations

import os
import shutil

import torch
from torch import nn
from torch.nn import functional

from fmnist_jax.benchmark.candidates import Go, Implementation, Unavailable, network_tasks, random_images
from fmnist_jax.benchmark.problem import CLASSES, EVAL_BATCH, Problem

_Sums = tuple[torch.Tensor, torch.Tensor]


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
        parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
        device=trainer.device.type,
        versions={"torch": torch.__version__},
        device_memory=lambda: torch.cuda.max_memory_allocated() if trainer.device.type == "cuda" else None,
    )


def network(problem: Problem) -> nn.Sequential:
    """Returns the architecture in PyTorch's layers, from images `[batch, 1, 28, 28]` to logits."""
    architecture, layers = problem.architecture, []
    for layer in architecture.conv_layers():
        padding = layer.conv.padding.lower()
        layers += [nn.Conv2d(layer.fan_in, layer.conv.features, layer.conv.size, padding=padding), nn.ReLU()]
        if layer.conv.pool:
            layers.append(nn.MaxPool2d(2))
    *hidden, logits = architecture.dense_layers()
    layers.append(nn.Flatten())
    for dense in hidden:
        layers += [nn.Linear(dense.fan_in, architecture.hidden), nn.ReLU(), nn.Dropout(architecture.dropout)]
    return nn.Sequential(*layers, nn.Linear(logits.fan_in, CLASSES))


class _Trainer:
    def __init__(self, problem: Problem, variant: str):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.layout = torch.channels_last if variant == "channels-last" else torch.contiguous_format
        self.batch_size = problem.batch_size
        self.model = network(problem).to(self.device, memory_format=self.layout)
        self.optimizer = _optimizer(problem, self.model)
        self.loss = torch.compile(self._loss, dynamic=False) if variant == "compile" else self._loss

    def train(self, batches: int) -> Go:
        images, labels = self._data(batches * self.batch_size)

        def go() -> None:
            self.model.train()
            order = torch.randperm(len(labels), device=self.device)
            _wait([self._step(images[rows], labels[rows]) for rows in order.split(self.batch_size)])

        return go

    def evaluate(self, batches: int) -> Go:
        images, labels = self._data(batches * EVAL_BATCH)

        @torch.inference_mode()
        def go() -> None:
            self.model.eval()
            parts = zip(images.split(EVAL_BATCH), labels.split(EVAL_BATCH), strict=True)
            _wait([self.loss(*batch) for batch in parts])

        return go

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> _Sums:
        self.optimizer.zero_grad(set_to_none=True)
        loss, correct = self.loss(images, labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), correct

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> _Sums:
        x = (images.float() / 255).to(memory_format=self.layout)
        logits = self.model(x)
        return functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).sum()

    def _data(self, examples: int) -> _Sums:
        images, labels = random_images(examples)
        return torch.from_numpy(images)[:, None].to(self.device), torch.from_numpy(labels).long().to(self.device)


def _wait(sums: list[_Sums]) -> None:
    """Reads the means back, as every run does, which waits for the device."""
    losses, corrects = zip(*sums, strict=True)
    torch.stack(losses).mean().item(), torch.stack(corrects).sum().item()


def _optimizer(problem: Problem, model: nn.Module) -> torch.optim.Optimizer:
    if problem.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), problem.learning_rate, eps=1e-7, fused=True)
    return torch.optim.RMSprop(model.parameters(), problem.learning_rate, alpha=0.9, eps=1e-7, foreach=True)
