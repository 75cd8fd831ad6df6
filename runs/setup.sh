#!/usr/bin/env bash
# Makes .venv ready: a Python in range, a torch build that suits the machine, the rest from requirements.lock.
#
# quickstart.sh and test.sh call it; once it has finished, the next call sees that and ends at once. uv does
# the work where it is installed, else python -m venv and pip. PYTHON=/path/to/python3.12 chooses the Python.
# torch is not in the lock because one hash cannot serve CPU, CUDA and macOS builds; see install_torch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TORCH_SERIES="2.13 2.12 2.11" # newest first; the same range as in pyproject.toml, which a test compares
CPU_INDEX="https://download.pytorch.org/whl/cpu"
TORCH="$(sed -n 's/^ *"\(torch>=[^"]*\)".*/\1/p' pyproject.toml | sed -n 1p)"

say() { echo "setup: $*" >&2; }
stop() { echo "error: $*" >&2; exit 2; }
has_uv() { command -v uv > /dev/null; }

# -----------------------------------------------------------------------------
# Python and .venv

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null; }
is_in_range() { case "$(python_version "$1")" in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac; }

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_in_range "$PYTHON" || stop "PYTHON=$PYTHON is not Python 3.11 to 3.13; unset it or name another one"
        echo "$PYTHON"
        return
    fi
    # All of PATH, not the first hit: pyenv puts a python3.12 there that only says it is not installed.
    while read -r python; do
        if is_in_range "$python"; then echo "$python"; return; fi
    done < <(type -aP python3.11 python3.12 python3.13 python3 python)
    stop "no Python 3.11 to 3.13 on PATH; install one, or set PYTHON=/path/to/python3.11"
}

# A .venv that the person made with `uv sync` is kept and completed. One that we left half-made is not.
is_venv_usable() {
    [ ! -e .venv/setup-unfinished ] && is_in_range .venv/bin/python || return 1
    [ -z "${PYTHON:-}" ] || [ "$(python_version "$PYTHON")" = "$(python_version .venv/bin/python)" ]
}

can_install() { has_uv || .venv/bin/python -c 'import pip' 2> /dev/null; } # uv makes a .venv without pip

make_venv() {
    local python="$1"
    say "making .venv with $python ($(python_version "$python"))"
    rm -rf .venv
    if has_uv; then
        uv venv --quiet --python "$python" .venv
    else
        "$python" -c 'import ensurepip, venv' 2> /dev/null ||
            stop "$python cannot make a .venv; on Debian or Ubuntu: apt install python$(python_version "$python")-venv"
        "$python" -m venv .venv
    fi
    touch .venv/setup-unfinished
}

# -----------------------------------------------------------------------------
# Packages

install() {
    if has_uv; then
        uv pip install --python .venv/bin/python "$@"
    else
        .venv/bin/python -m pip install --disable-pip-version-check --no-compile "$@" # see compile_packages
    fi >&2
}

# Byte code: pip makes it file by file on one core, for longer than it unpacks; here all cores share that. uv leaves it to
# the first import. Some packages bring files that are no Python 3, hence no complaints.
compile_packages() { has_uv || .venv/bin/python -m compileall -q -j 0 .venv/lib > /dev/null 2>&1 || true; }

pip_setting() { # $1: a Python, which may lack pip, $2: find-links, index-url or extra-index-url
    local variable; variable="PIP_$(echo "$2" | tr 'a-z-' 'A-Z_')"
    if [ -n "${!variable:-}" ]; then echo "${!variable}"; return; fi
    { "$1" -m pip config list 2> /dev/null || true; } |
        sed -nE "s/^(global|install)\.$2='(\\\\n)?(.*)'$/\3/p" | sed -n 1p | sed 's/\\n/ /g'
}

# uv reads none of pip's settings, so a mirror or a folder of wheels that pip knows is handed on. All indexes
# count (uv stops at the first that has the name): safe here, the lock is hashed and torch is asked for exactly.
configure_uv() {
    local find_links index extra
    find_links="$(pip_setting "$1" find-links | tr ' ' ',')"
    index="$(pip_setting "$1" index-url)"
    extra="$(pip_setting "$1" extra-index-url)"
    [ -n "${UV_FIND_LINKS:-}" ] || [ -z "$find_links" ] || export UV_FIND_LINKS="$find_links"
    [ -n "${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-}}" ] || [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    [ -n "${UV_INDEX:-${UV_EXTRA_INDEX_URL:-}}" ] || [ -z "$extra" ] || export UV_EXTRA_INDEX_URL="$extra"
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
}

# Not /proc/driver/nvidia: a container without a device sees the driver of its host there.
has_nvidia() { compgen -G '/dev/nvidia[0-9]*' > /dev/null || nvidia-smi -L 2> /dev/null | grep -q GPU; }

has_torch() {
    .venv/bin/python -c "
from importlib.metadata import version
raise SystemExit(version('torch').rsplit('.', 1)[0] not in '$TORCH_SERIES'.split())" 2> /dev/null
}

# The newest torch +cpu build in our range that the index and find-links offer, or nothing. It asks for a
# listing only, once, with a short timeout: an index that is out of reach must not hold anybody up.
newest_cpu_build() {
    local series
    {
        if has_uv; then
            for series in $TORCH_SERIES; do
                UV_HTTP_TIMEOUT=10 UV_HTTP_RETRIES=0 uv pip install --python .venv/bin/python \
                    --dry-run --no-deps "torch==$series.*" "$@" 2>&1 || true
            done
        else
            .venv/bin/python -m pip index versions torch --retries 0 --timeout 10 "$@" 2> /dev/null || true
        fi
    } | grep -oE "(${TORCH_SERIES// /|})\.[0-9]+\+cpu" | sed -n 1p || true
}

# Without an NVIDIA device the CPU build, a tenth of the download. macOS has one build for all, on PyPI.
install_torch() {
    local version
    has_torch && return
    if [ "$(uname -s)" = Darwin ] || has_nvidia; then
        say "installing $TORCH (macOS: about 100 MB; CUDA: about 3 GB to download, 6 GB on disk)"
        install "$TORCH"
        return
    fi
    version="$(newest_cpu_build)"
    if [ -n "$version" ]; then
        say "installing torch $version from the configured index or find-links"
        install --no-deps "torch==$version"
        return
    fi
    version="$(newest_cpu_build --index-url "$CPU_INDEX")"
    if [ -n "$version" ]; then
        say "installing torch $version from $CPU_INDEX (about 200 MB)"
        install --no-deps --index-url "$CPU_INDEX" "torch==$version"
        return
    fi
    say "no CPU build of torch within reach; taking the CUDA build from PyPI, about 3 GB to download, 6 GB on disk"
    install "$TORCH"
}

# -----------------------------------------------------------------------------

fingerprint() {
    cat pyproject.toml requirements.lock runs/setup.sh | cksum
    python_version .venv/bin/python
}

is_ready() {
    [ -e .venv/setup-done ] && is_venv_usable && [ "$(cat .venv/setup-done)" = "$(fingerprint)" ]
}

main() {
    local python
    is_ready && return
    python="$(choose_python)"
    { is_venv_usable && can_install; } || make_venv "$python"
    if has_uv; then configure_uv "$python"; fi
    install_torch
    say "installing the rest from requirements.lock"
    install --quiet --require-hashes --no-deps -r requirements.lock
    compile_packages
    rm -f .venv/setup-unfinished
    fingerprint > .venv/setup-done
    say "done in $SECONDS s; everything is in .venv"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then main; fi
