#!/usr/bin/env bash
# Sets up what is missing, then runs the tests: bash runs/test.sh [pytest arguments]
# The default suite is CPU, offline and under 5 minutes on 2 cores; -m slow runs the slow ones.
set -euo pipefail
cd "$(dirname "$0")/.."

bash runs/setup.sh
# On both cores, file by file: the tests of one share what they prepare.
if [ $# = 0 ]; then set -- -n 2 --dist loadfile; fi
exec .venv/bin/python -m pytest "$@"
