#!/usr/bin/env bash
# Compiles a config's programs for accelerators that are not there: scripts/aot.sh [arguments of aot.py ...]
#
# Makes .venv-aot with the compiler of the --target, for TPUs (libtpu) or NVIDIA GPUs (jax[cuda13]), unless it is there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
venv="$root/.venv-aot"
constraints="$root/constraints-aot.txt"
case " $* " in
  *target[=\ ]tpu-*) prepare_environment tpu ;;
  *target[=\ ]gpu-*) prepare_environment cuda13 ;;
  *) prepare_environment "" ;;
esac
exec "$venv/bin/python" "$root/scripts/aot.py" "$@"
