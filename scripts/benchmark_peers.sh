#!/usr/bin/env bash
# Times fmnist_jax beside Flax, Keras and PyTorch: scripts/benchmark_peers.sh [arguments of benchmark.py ...]
#
# Makes .venv-peers if need be, an environment that holds all of them. On Linux, torch brings CUDA with it, some
# gigabytes; where only the CPU is to be measured, pip can be pointed at PyTorch's index of CPU builds, or
# --torch_python=... at an interpreter that has one.
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
