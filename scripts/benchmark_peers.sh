#!/usr/bin/env bash
# Times fmnist_jax beside Flax, Keras and PyTorch: scripts/benchmark_peers.sh [arguments of benchmark.py ...]
#
# Makes .venv-peers, an environment with all of them, unless it exists. On Linux, torch installs gigabytes of CUDA; to
# measure the CPU only, point pip at PyTorch's index of CPU builds, or --torch_python=... at an interpreter with one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
venv="$root/.venv-peers"
constraints="$root/constraints-peers.txt"
prepare_environment peers

workdir=("--workdir=$root/runs/benchmark")
for argument in "$@"; do
  case "$argument" in
    --workdir | --workdir=* | -workdir | -workdir=*) workdir=() ;;
  esac
done
exec "$venv/bin/python" "$root/scripts/benchmark.py" ${workdir[@]+"${workdir[@]}"} "$@"
