#!/usr/bin/env bash
# Writes requirements.lock again, after a change in pyproject.toml: bash runs/lock.sh  (-U takes newer versions)
#
# Needs uv. One file serves Python 3.11 to 3.13 on Linux and macOS. It has hashes and no host names, so any
# mirror will do. torch is left to runs/setup.sh, and so is what only torch's CUDA build asks for.
set -euo pipefail
cd "$(dirname "$0")/.."

uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-sources \
    --no-emit-package torch --no-annotate --custom-compile-command "bash runs/lock.sh" \
    --output-file requirements.lock --quiet "$@"
awk '/^[a-z]/ { cuda = /^(nvidia-|cuda-|triton==)/ } !cuda' requirements.lock > requirements.lock.tmp
mv requirements.lock.tmp requirements.lock
