#!/usr/bin/env bash
# What waits for a GPU, in the order in which to do it, within the seconds there are:
#
#   bash scaling/waiting.sh FOLDER SECONDS [STEP...]
#
# Steps (all, if none is named): compile tests sanitize leading tune profile rest. No step stops another: one that fails
# or takes too long is named at the end, and FOLDER has the log of each, and rows.csv with every row that was measured.
# PYTHON is the interpreter (python3). Where the checkout has no history, GPUHOMOG_COMMIT names the commit for the rows.
set -u
folder=$(realpath -m "$1") seconds=$2
shift 2
steps=" ${*:-compile tests sanitize leading tune profile rest} " failed=""
cd "$(dirname "$0")/.."
mkdir -p "$folder"
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
python=${PYTHON:-python3}

run() { # run STEP SECONDS COMMAND...: the command, for so long at most, into the step's log
  local step=$1 most=$2 began=$SECONDS status
  local left=$((seconds - SECONDS))
  shift 2
  [ "$left" -gt 0 ] || { fail "$step(no time)"; return 1; }
  printf '\n+ %s\n' "$*" >> "$folder/$step.log"
  timeout -k 5 $((most < left ? most : left)) "$@" >> "$folder/$step.log" 2>&1
  status=$?
  echo "$step: status $status after $((SECONDS - began)) s: $*"
  [ "$status" = 0 ] || { fail "$step"; return 1; }
}

fail() { [[ $failed == *" $1"* ]] || failed+=" $1"; }

wanted() { [[ $steps == *" $1 "* ]]; }

gpu() { # gpu STEP SECONDS ARGUMENTS...: rows
  local step=$1 most=$2
  shift 2
  run "$step" "$most" "$python" scaling/gpu.py "$@"
}

tune() { # tune WORDS CONSTANTS...: 1024^3 in float32
  local only=$1 constant
  local -a words=(--only "$only" --sizes "1024:float32")
  shift
  for constant in "$@"; do words+=(--tune "$constant"); done
  gpu tune 60 "${words[@]}"
}

if wanted compile; then # on all cores, so that nothing below waits for it
  run compile 120 "$python" scaling/gpu.py --compile --budget 0
fi

if wanted tests; then # the CPU is the oracle of every kernel; what never ends is given up, and so is whoever lost CUDA
  patience=()
  "$python" -c "import pytest_timeout" 2> /dev/null && patience=(--timeout 60 --timeout-method thread)
  run tests 200 "$python" -m pytest -q -m gpu -n 12 -p no:cacheprovider "${patience[@]}" \
    --continue-on-collection-errors tests
  grep -hE '^(FAILED|ERROR)|[0-9]+ (passed|failed)' "$folder/tests.log" | cut -c1-200 | tail -n 40
fi

checked() { # checked TOOL: every family under a tool of compute-sanitizer, a process each: a fault hides no other one
  local family
  for family in sums windows taps modes cylinders intervals ranges features shells text; do
    compute-sanitizer --tool "$1" --print-limit 20 --error-exitcode 1 "$python" tests/kernels/sanitize.py $family \
      > "$folder/$family.part" 2>&1 || echo "$1 of $family: not clean" >> "$folder/$family.part" &
  done
  wait
  ! grep -q ": not clean$" "$folder"/*.part
}
export folder python
export -f checked

if wanted sanitize; then
  run sanitize 60 "$python" tests/kernels/sanitize.py
  for tool in memcheck racecheck synccheck initcheck; do
    run sanitize 90 bash -c "checked $tool"
    cat "$folder"/*.part >> "$folder/sanitize.log" # of those that came to no end, too
    rm "$folder"/*.part
  done
  grep -hE ": not clean$|^not launched" "$folder/sanitize.log"
fi

if wanted leading; then # kernels whose last version was chosen without a GPU, beside their predictions
  gpu leading 100 --leading --sizes 1024:float32,1024:float64 --budget 80 --output "$folder/rows.csv"
fi

if wanted tune; then # what those kernels name; keep what is faster, say what the prediction missed
  box=gpuhomog.device.gpu.running sums=gpuhomog.device.gpu.sums windows=gpuhomog.device.gpu.windows
  taps=gpuhomog.device.gpu.taps
  tune "box, full grid, w 65" "$box:RINGS=0,1" # 0 is what was measured before
  tune "windows, " "$windows:LEAST_TOGETHER=2,99" "$windows:MOST_KINDS=2,3,4" # from how many on; 99 is never
  tune "planar averages" "planar_moments.cu:ROWS+$sums:ROWS=2,4,8" "planar_moments.cu:BLOCKS_EACH+$sums:BLOCKS_EACH=3,4"
  tune "gaussian, full grid, std 16" "taps.cu:NEAR=0,8,16" "taps.cu:THREADS+$taps:THREADS=256,512"
  tune "gaussian, full grid, std 16" "taps.cu:TILE+$taps:TILE=4,8"
  tune "coarse box, w 65, step 8" "$windows:LEAST_TOGETHER=1,2" # 1: box_planes_together for one window, too
  tune "box, full grid, w 65" "box_rings.cu:STAGES+$box:STAGES=3,4,5"
  tune "box, full grid, w 65" "box_rings.cu:GROUPS+$box:GROUPS=2,3,4"
fi

if wanted profile; then # the second launch of each of those kernels: what the predictions counted
  kernels='planar_moments|box_planes|box_lines|box_planes_together|contract_taps|expand_taps|fft_lines'
  run profile 90 ncu --clock-control none --set basic --section WarpStateStats --section InstructionStats \
    --section MemoryWorkloadAnalysis --kernel-id "::regex:^($kernels)\$:2" \
    "$python" scaling/gpu.py --leading --no-peers --sizes 1024:float32
fi

if wanted rest; then # sizes and cases that no row is of yet
  gpu rest "$seconds" --output "$folder/rows.csv" --budget $((seconds - SECONDS - 30))
fi

echo "${failed:+failed:$failed; }$SECONDS s"
[ -z "$failed" ]
