"""Candidates of the benchmark that take no time, and do as a test tells them."""

import textwrap

from fmnist_jax.benchmark import candidates
from fmnist_jax.benchmark.candidates import Entry


def writer(tmp_path, monkeypatch):
    """Returns a function that writes a candidate of that name: the body of `make`, which may return one of its own."""

    def write(name, body="pass"):
        source = f"""
            import os, time
            from fmnist_jax.benchmark.candidates import Implementation, Task, Unavailable
            def make(problem, variant):
{textwrap.indent(textwrap.dedent(body), " " * 16)}
                def prepare(n):
                    return lambda: time.sleep(0.001 * n)
                tasks = {{"train": Task(prepare, problem.batch_size, 10), "evaluate": Task(prepare, 500, 10)}}
                tasks |= {{"matmul": Task(prepare, 1e9, 10), "copy": Task(prepare, 1e9, 10)}}
                return Implementation(tasks, 7, "a test", {{"test": "1"}})
        """
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        monkeypatch.setitem(candidates.CANDIDATES, name, Entry(name, "", "torch", "a test"))

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return write
