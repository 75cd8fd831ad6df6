#!/usr/bin/env bash
# From text to a chat window with one command; `bash runs/quickstart.sh --help` says what it takes.
#
# It trains a tokenizer, a base model and a chat model from nothing, on a world that is part of the program, and
# opens a page to talk to it. Every stage is a script that also runs alone, by the command that is printed.
set -euo pipefail

# -----------------------------------------------------------------------------
# The recipe: settings, then the stages in order

DEPTH=4
TOKENIZER=""
RATES="--matrix-lr 0.3 --unembedding-lr 0.12 --embedding-lr 2" # for so small a batch and so short a run, see dev/LOG.md
BASE="--total-batch-size 4096 --num-iterations 130 $RATES --eval-every 50 --save-every 100"
EXERCISES="--num-iterations 360 --max-seq-len 256 --save-every 200"
EXERCISES="$EXERCISES --init-lr-frac 0.55 --embedding-lr-frac 0.8 --warmdown-ratio 0.5"
OWN_MID="--init-lr-frac 0.8 --save-every 200"
SFT="--init-lr-frac 1 --embedding-lr-frac 2 --save-every 200"
RL_STEPS=80
RL="--skills format --prompts-per-step 128 --replay 224 --max-new-tokens 80 --eval-every 50"
RL="$RL --init-lr-frac 0.084 --embedding-lr-frac 0.042" # the embeddings' fraction is of twice the others' in SFT
BASE_EVAL=""
CHAT_EVAL=""

# In so short a run the exercises gain 7 points of reading and cost 3 to 10 of six others (dev/LOG.md).
use_quick_settings() {
    EXERCISES=""
    SFT="--source base --init-lr-frac 0.8 --embedding-lr-frac 1.6 --save-every 200 --num-iterations 800" # of 1,580
    RL_STEPS=40
}

use_smoke_settings() { # every stage once, in seconds; the model learns nothing
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # so small a model keeps a second thread waiting: 21 s of CPU, not 96
    DEPTH=2
    TOKENIZER="--vocab-size 512"
    BASE="--max-seq-len 256 --num-iterations 4 --total-batch-size 1024 --device-batch-size 4 --eval-tokens 1024"
    EXERCISES="${EXERCISES:+--num-iterations 2}"
    OWN_MID="--num-iterations 2"
    SFT="--num-iterations 2"
    RL_STEPS=2
    RL="--prompts-per-step 2 --num-samples 2 --max-new-tokens 16 --eval-items 4"
    BASE_EVAL="--eval-tokens 1024"
    CHAT_EVAL="--max-items 4 --skills facts,arithmetic"
}

run_stages() { # stage HEADLINE, the FILE that exists once it is finished, COMMAND
    local train="--model-tag $TAG --resume auto --keep-last 2 ${DTYPE:+--dtype $DTYPE}" source

    stage "Tokenizer: the pieces that text is cut into" tokenizer/tokenizer.json \
        scripts.tok_train $TOKENIZER ${TEXT:+--data "$TEXT"} ${CHATS:+--chats "$CHATS"}
    remember_tokenizer
    stage "Base model: learns to continue text" "runs/base/$TAG/result.json" \
        scripts.base_train --depth $DEPTH $train $BASE ${TEXT:+--data "$TEXT"}
    stage "Base model, measured" "runs/base/$TAG/base_eval.json" \
        scripts.base_eval --model-tag $TAG $BASE_EVAL
    if [ -n "$CHATS" ]; then
        stage "Midtraining: what a conversation looks like" "runs/mid/$TAG/result.json" \
            scripts.mid_train $train $OWN_MID --data "$CHATS" ${TEXT:+--text-data "$TEXT"}
    elif [ -n "$EXERCISES" ]; then
        stage "Midtraining: practises finding who has what" "runs/mid/$TAG/result.json" \
            scripts.chat_sft --stage mid --tasks exercises $train $EXERCISES
    fi
    stage "SFT: learns to answer" "runs/sft/$TAG/result.json" \
        scripts.chat_sft $train $SFT ${CHAT_DATA:+--data "$CHAT_DATA"}
    if [ -n "$CHATS" ]; then
        say "RL and the skills belong to the embedded world; a model of your own chats does without"
    else
        stage "RL: practises what can be checked" "runs/rl/$TAG/result.json" \
            scripts.chat_rl $train --num-iterations $RL_STEPS $RL
        for source in sft rl; do
            stage "Skills after $source" "runs/$source/$TAG/chat_eval.json" \
                scripts.chat_eval --source $source --model-tag $TAG $CHAT_EVAL
        done
    fi
    forget_stale_report
    stage "Report card" report/report.json \
        scripts.report --model-tag $TAG
}

serve() {
    say "" "Chat with it at http://127.0.0.1:$PORT (Ctrl-C ends it). To come back: bash runs/quickstart.sh$QUICK$OWN" \
        "or, in the terminal: .venv/bin/python -m scripts.chat_cli --model-tag $TAG" ""
    exec .venv/bin/python -m scripts.chat_web --model-tag $TAG --port "$PORT"
}

# -----------------------------------------------------------------------------
# The command line

usage() {
    cat << 'EOF'
bash runs/quickstart.sh [--quick] [--data TEXT] [--chats JSONL] [--dtype NAME] [--fresh] [--smoke]

  --quick         about half of the time, for a model that makes more mistakes
  --data TEXT     your own text for the base model: a .txt, .jsonl, .jsonl.gz or .parquet file, or a folder of them
  --chats JSONL   your own conversations for the chat model, one {"messages": [...]} a line
  --dtype NAME    float32 or bfloat16 (default: bfloat16 where the processor has it)
  --fresh         forget what the quickstart made of this before, and train again
  --smoke         every stage at depth 2 in a temporary folder, nothing served or kept; takes about a minute
  --help          this text

A stage that is finished is not run again, so the second time it goes straight to the chat. Environment:
  NANOCHAT_BASE_DIR   where everything is kept (default ~/.cache/nanochat)
  PORT                of the page (default 8000)
  QUICKSTART_SERVE=0  stop before serving
  PYTHON              what to build .venv with (default: the first Python 3.11 to 3.13 on PATH)
EOF
}

say() { printf '%s\n' "$@" >&2; }
stop() { say "error: $*"; exit 2; }
absolute() { case "$1" in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }

existing() { # $1: a flag, $2: the path given with it
    [ -e "$2" ] || stop "$1 $2: no such file or folder"
    absolute "$2"
}

read_flags() {
    TEXT="" CHATS="" DTYPE="" FRESH="" QUICK="" SMOKE="" OWN=""
    while [ $# -gt 0 ]; do
        case "$1" in
            --data | --chats | --dtype) [ $# -gt 1 ] || stop "$1 needs a value; see --help" ;;
        esac
        case "$1" in
            --data) TEXT="$(existing "$1" "$2")"; OWN="$OWN $1 $(printf %q "$2")"; shift ;;
            --chats) CHATS="$(existing "$1" "$2")"; OWN="$OWN $1 $(printf %q "$2")"; shift ;;
            --dtype) DTYPE="$2"; shift ;;
            --fresh) FRESH=1 ;;
            --quick) QUICK=" --quick" ;;
            --smoke) SMOKE=" (smoke)" ;;
            -h | --help) usage; exit 0 ;;
            *) stop "$1 is not a flag of the quickstart; see --help" ;;
        esac
        shift
    done
    case "$DTYPE" in
        "" | float32 | bfloat16) ;;
        *) stop "--dtype $DTYPE: choose float32 or bfloat16" ;;
    esac
    [ -z "$QUICK" ] || [ -z "$CHATS" ] || stop "--quick shortens what the embedded world teaches; your own chats are read once: leave it out"
}

read_environment() {
    SERVE=1
    if [ -n "$SMOKE" ] || [ "${QUICKSTART_SERVE:-1}" = 0 ]; then SERVE=""; fi
    PORT="${PORT:-8000}"
    case "$PORT" in
        *[!0-9]* | 0* | ??????*) stop "PORT=$PORT: give a number from 1 to 65535" ;;
    esac
    [ "$PORT" -le 65535 ] || stop "PORT=$PORT: give a number from 1 to 65535"
    # Better to know now than after the training.
    if [ -n "$SERVE" ] && (: < "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null; then
        stop "port $PORT is in use; choose another one: PORT=$((PORT + 1)) bash runs/quickstart.sh"
    fi
    NANOCHAT_BASE_DIR="$(absolute "${NANOCHAT_BASE_DIR:-$HOME/.cache/nanochat}")"
    export NANOCHAT_BASE_DIR
}

# Your own files get a tag of their own, by content, and the quick model too, so that no model is taken for another.
choose_tag() {
    TAG=quickstart
    if [ -n "$OWN" ]; then TAG="own-$({ contents "$TEXT"; contents "$CHATS"; } | cksum | cut -d ' ' -f 1)"; fi
    TAG="$TAG${QUICK/ --/-}"
}

contents() {
    if [ -n "$1" ]; then find -L "$1" -type f -exec cksum {} + | cut -d ' ' -f 1,2 | sort; fi
    echo end
}

# -----------------------------------------------------------------------------
# Stages

NUM_STAGES=0
NUM_RUN=0

stage() {
    local headline="$1" finished="$NANOCHAT_BASE_DIR/$2" start=$SECONDS status=0
    shift 2
    NUM_STAGES=$((NUM_STAGES + 1))
    if [ -e "$finished" ]; then
        say "[$NUM_STAGES] $headline: finished earlier"
        return
    fi
    NUM_RUN=$((NUM_RUN + 1))
    say "" "[$NUM_STAGES] $headline" "    python -m$(printf ' %q' "$@")"
    .venv/bin/python -m "$@" > /dev/null || status=$? # the record on stdout is on disk too
    if [ $status != 0 ]; then
        say "[$NUM_STAGES] stopped with exit code $status${SMOKE:-; the same command goes on from here}"
        exit $status
    fi
    say "[$NUM_STAGES] took $((SECONDS - start)) s"
}

# A base directory has one tokenizer. Only one that the quickstart made is replaced, and only by a base model
# that is yet to be trained: every checkpoint carries a copy.
tokenizer_made_for() { # the tag, or nothing when it is not ours
    local tag checksum
    read -r tag checksum 2> /dev/null < "$NANOCHAT_BASE_DIR/tokenizer/quickstart" || return 0
    if [ "$checksum" = "$(cksum 2> /dev/null < "$NANOCHAT_BASE_DIR/tokenizer/tokenizer.json")" ]; then echo "$tag"; fi
}

remember_tokenizer() {
    [ $NUM_RUN = 0 ] || echo "$TAG $(cksum < "$NANOCHAT_BASE_DIR/tokenizer/tokenizer.json")" \
        > "$NANOCHAT_BASE_DIR/tokenizer/quickstart"
}

forget_stale_files() {
    local made_for; made_for="$(tokenizer_made_for)"
    mkdir -p "$NANOCHAT_BASE_DIR"
    cd "$NANOCHAT_BASE_DIR"
    if [ -n "$FRESH" ]; then rm -rf "runs/base/$TAG" "runs/mid/$TAG" "runs/sft/$TAG" "runs/rl/$TAG"; fi
    if [ ! -e "runs/base/$TAG/result.json" ] && [ -e tokenizer/tokenizer.json ]; then
        if [ -z "$made_for" ]; then
            say "keeping tokenizer/tokenizer.json, which the quickstart did not make"
        elif [ -n "$FRESH" ] || [ "$made_for" != "$TAG" ]; then
            rm -f tokenizer/tokenizer.json
        fi
    fi
    cd "$ROOT"
}

say_how_long() { # of the embedded world, measured (dev/LOG.md); your own data may be of any size
    [ -z "$OWN$SMOKE" ] && [ ! -e "$NANOCHAT_BASE_DIR/runs/rl/$TAG/result.json" ] || return 0
    say "" "On two cores all of it takes some 16 to 20 minutes if they multiply bfloat16 (AMX, AVX512-BF16), else an" \
        "hour or more; --quick takes about half of that. Ctrl-C stops it and keeps what is done: the same command goes on."
}

forget_stale_report() { # of before, or of another model
    local report="$NANOCHAT_BASE_DIR/report/report.json"
    if [ $NUM_RUN -gt 0 ] || ! grep -qs "\"$TAG\"" "$report"; then rm -f "$report"; fi
}

# torch.compile builds ten little programs to see which vector instructions work, for 7 to 15 s on a Xeon. A g++ that
# knows them all needs no proof: what /proc/cpuinfo lists is there.
spare_the_compiler_proofs() {
    case "$(g++ -dumpversion 2> /dev/null)" in
        1[2-9]* | [2-9][0-9]*) export TORCHINDUCTOR_VEC_ISA_OK="${TORCHINDUCTOR_VEC_ISA_OK:-1}" ;;
    esac
}

# All the embedded world's conversations would take longer to write and encode than all the rest.
make_smoke_chats() {
    CHAT_DATA="$NANOCHAT_BASE_DIR/chats.jsonl"
    .venv/bin/python -c '
import json
from nanochat.tinyworld_chats import conversations
for chat in conversations("train", 200, 0):
    print(json.dumps(chat))' > "$CHAT_DATA"
}

ROOT="$(cd "$(dirname "$0")/.." && pwd)"
read_flags "$@"
read_environment
choose_tag
CHAT_DATA="$CHATS"
cd "$ROOT"
bash runs/setup.sh
if [ -n "$QUICK" ]; then use_quick_settings; fi
if [ -n "$SMOKE" ]; then
    use_smoke_settings
    NANOCHAT_BASE_DIR="$(mktemp -d)"
    trap 'rm -rf "$NANOCHAT_BASE_DIR"' EXIT
    [ -n "$CHATS" ] || make_smoke_chats
fi
forget_stale_files
say_how_long
spare_the_compiler_proofs
run_stages
[ $NUM_RUN = 0 ] || say "" "All of it took $SECONDS s"
if [ -n "$SERVE" ]; then serve; fi
