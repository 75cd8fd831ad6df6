#!/usr/bin/env bash
# Sets up what is missing, then runs the tests: bash runs/test.sh [pytest arguments]
# The default suite is CPU, offline and under 5 minutes on 2 cores; -m slow runs the slow ones.
set -euo pipefail
cd "$(dirname "$0")/.."

bash runs/setup.sh
exec .venv/bin/python -m pytest "$@"
