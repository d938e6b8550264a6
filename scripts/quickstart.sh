#!/usr/bin/env bash
# Makes .venv if need be, and trains the quickstart's model: scripts/quickstart.sh [arguments of train.py ...]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment ""

config=("--config=$root/configs/quickstart.py")
workdir=("--workdir=$root/runs/quickstart")
for argument in "$@"; do
  case "$argument" in
    --config | --config=* | -config | -config=*) config=() ;;
    --workdir | --workdir=* | -workdir | -workdir=*) workdir=() ;;
  esac
done
exec "$venv/bin/python" "$root/scripts/train.py" \
  ${config[@]+"${config[@]}"} ${workdir[@]+"${workdir[@]}"} "$@"
