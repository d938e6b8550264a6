# Sourced by the scripts beside it: `prepare_environment` makes .venv and installs this package into it, once.
# A script that needs an environment of its own sets `venv` and `constraints` before it calls that.
#
# PYTHON         the interpreter to use, where it is not to be the first one found that is new enough
# FMNIST_EXTRAS  extras to install besides, e.g. cuda13 or tpu

root="$(CDPATH= cd -- "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"
constraints="$root/constraints.txt"

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 2; }

# Prints the path of the interpreter behind the command $1, beneath any virtual environment and any shim, if it is >= 3.11.
resolve_python() {
  "$1" -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys._base_executable)' 2>/dev/null
}

# Prints the interpreter to use: PYTHON, else the one that .venv was made with, else the first on PATH that will do.
find_python() {
  local candidate
  if [[ -n "${PYTHON:-}" ]]; then
    resolve_python "$PYTHON" || fail "PYTHON=$PYTHON is no Python 3.11 or newer; unset it or name another interpreter"
    return
  fi
  for candidate in "$venv/bin/python" python3 python3.13 python3.12 python3.11; do
    resolve_python "$candidate" && return
  done
  fail "no Python 3.11 or newer was found; install one, or name it: PYTHON=/path/to/python3"
}

# Prints a hash of all that decides what gets installed by the interpreter $1 with the extras $2.
fingerprint() {
  "$1" - "$2" "$root"/{setup.py,pyproject.toml,constraints.txt} "$constraints" <<'EOF'
import hashlib, pathlib, sys
inputs = [sys.version, sys.argv[1], *(pathlib.Path(name).read_text() for name in sys.argv[2:])]
print(hashlib.sha256("\0".join(inputs).encode()).hexdigest())
EOF
}

# Makes .venv with the interpreter $1; one that is there is kept if it is whole and of the same version.
make_venv() {
  local version='import sys; print(sys.version)' clear=()
  if [[ -e "$venv/installing" || "$("$venv/bin/python" -c "$version" 2>/dev/null)" != "$("$1" -c "$version")" ]]; then
    clear=(--clear)
  elif "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    return
  fi
  "$1" -c 'import ensurepip, venv' 2>/dev/null \
    || fail "$1 has no venv or no pip; install them (on Debian and Ubuntu: the package python3-venv)"
  say "Making ${venv##*/} with $("$1" --version) ..."
  "$1" -m venv ${clear[@]+"${clear[@]}"} "$venv" >&2 || fail "cannot make a virtual environment in $venv"
}

# Sets up .venv with the extras $1 (comma-separated, may be empty), unless that is already done.
prepare_environment() {
  local extras="$1${FMNIST_EXTRAS:+,$FMNIST_EXTRAS}" python stamp wanted other
  extras="${extras#,}"
  python="$(find_python)" || exit
  stamp="$venv/installed-${extras:-base}"
  wanted="$(fingerprint "$python" "$extras")"
  if [[ -x "$venv/bin/python" && "$(cat "$stamp" 2>/dev/null)" == "$wanted" && ! -e "$venv/installing" ]]; then return; fi
  other="$(cat "$venv/installing" 2>/dev/null || true)"
  if [[ -n "$other" && "$other" != "$$" ]] && kill -0 "$other" 2>/dev/null; then
    fail "process $other is installing into ${venv##*/}; wait for it, or remove $venv/installing if it is doing something else"
  fi
  make_venv "$python"
  echo "$$" >"$venv/installing"
  say "Installing fmnist_jax${extras:+[$extras]} with tested versions into ${venv##*/} (a few minutes the first time) ..."
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check --constraint "$constraints" \
    --editable "$root${extras:+[$extras]}" >&2 || fail "the installation failed; see pip's message above"
  echo "$wanted" >"$stamp"
  rm "$venv/installing"
}
