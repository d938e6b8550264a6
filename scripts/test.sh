#!/usr/bin/env bash
# Makes .venv if need be, and runs every check; with arguments only pytest: scripts/test.sh [arguments of pytest ...]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment dev
cd "$root"

if (($# == 0)); then
  "$venv/bin/ruff" check
  "$venv/bin/ruff" format --check
  "$venv/bin/mypy"
  # The tests of a file share what they prepare. In the order of their names: files of few, long tests would come last.
  set -- --numprocesses=auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder
fi
exec "$venv/bin/pytest" "$@"
