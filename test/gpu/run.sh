#!/bin/bash
# Runs the tests and benchmarks of a GPU, from the folder that `make gpu-bundle` made: run.sh [PART ...], by default
# doctor driver kernels models bench. Ends with a summary, and the exit code 1 if anything failed.
#   memcheck, racecheck  the kernels' tests under NVIDIA's compute-sanitizer ($COMPUTE_SANITIZER), the smallest cases of each
#   profile TABLE KERNEL what NVIDIA's Nsight Compute says of the kernels whose names contain KERNEL, in a table of bench
here=$(cd "$(dirname "$0")" && pwd)
content=$here/content
sum=$(sha256sum < "$here/content.tar.xz") || exit 1
if [ "$(cat "$content/sum" 2> /dev/null)" != "$sum" ]; then
  rm -rf "$content" && mkdir "$content" && tar -C "$content" -xJf "$here/content.tar.xz" && echo "$sum" > "$content/sum" || exit 1
fi
cd "$content" || exit 1
export EPIGRAPH_BUNDLE=$PWD EPIGRAPH_GPU_KERNELS=$PWD/kernels EPIGRAPH_GOLDENS=$PWD/test/goldens PYTHONDONTWRITEBYTECODE=1
summary=()
failed=0

declare -A pids

# result NAME CODE TEXT: a line of the summary.
result() {
  [ "$2" = 0 ] || failed=1
  summary+=("$(printf '%-24s %-7s %s' "$1" "$([ "$2" = 0 ] && echo passed || echo "FAILED")" "$3")")
}

# part NAME COMMAND ...: runs it, and keeps its last line for the summary.
part() {
  echo "== $1"
  "${@:2}" 2>&1 | tee "$1.log"
  result "$1" "${PIPESTATUS[0]}" "$(grep -v '^ *$' "$1.log" | tail -1)"
}

tests() { python3 -m pytest -q -p no:cacheprovider --tb=short "$@"; }

# All files at once, since the tool keeps a processor busy for each; a time for each, since a test that hangs, or takes too long under
# the tool, must not keep the others from being reported. PyTorch's kernels, whose names alone are mangled, are not looked at: they take
# most of the time, and some of them race.
sanitize() {
  local name names=()
  for file in test/gpu/test_*.py; do
    name=$(basename "$file" .py)
    case $name in test_models | test_ranks) continue ;; esac
    names+=("$name")
    timeout "${SECONDS_A_FILE:-400}" "${COMPUTE_SANITIZER:-compute-sanitizer}" --tool "$1" --error-exitcode 9 --kernel-name-exclude kns=_Z \
      python3 -m pytest -q -p no:cacheprovider --tb=line --smallest "$file" > "$1-$name.log" 2>&1 &
    pids[$name]=$!
  done
  for name in "${names[@]}"; do
    wait "${pids[$name]}"
    result "$1-$name" $? "$(grep -E ' (passed|failed)' "$1-$name.log" | tail -1), $(grep SUMMARY "$1-$name.log" | tail -1)"
  done
}

# What every driver does, done by that of NVIDIA's GPUs; without a GPU it fails.
conformance() {
  EPIGRAPH_REQUIRE_GPU=1 EPIGRAPH_CONFORMANCE_CUBIN=$PWD/conformance.cubin \
    bin/runtime_driver_conformance_test --gtest_brief=1 --gtest_filter='*cuda*:Gpu/*'
}

[ $# = 0 ] && set -- doctor driver kernels models bench
while [ $# -gt 0 ]; do
  case $1 in
    doctor) part doctor bin/epigraph doctor ;;
    driver) part driver conformance ;;
    kernels) part kernels tests test/gpu --ignore=test/gpu/test_models.py --ignore=test/gpu/test_ranks.py ;;
    models) part models tests test/gpu/test_models.py test/gpu/test_ranks.py ;;
    bench) part bench python3 bench/gpu/run.py --json "$here/bench.json" ;;
    memcheck | racecheck) sanitize "$1" ;;
    profile)
      [ $# -ge 3 ] || { echo "profile needs a table of bench and part of a kernel's name"; exit 2; }
      part profile ncu --clock-control none --kernel-name "regex:$3" --launch-count 4 --set full python3 bench/gpu/run.py "$2"
      shift 2
      ;;
    *)
      echo "unknown part '$1'; known are doctor, driver, kernels, models, bench, memcheck, racecheck and profile TABLE KERNEL"
      exit 2
      ;;
  esac
  shift
done
gpus=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2> /dev/null | sort | uniq -c | xargs)
echo "== summary: ${gpus:-no GPU}, commit $(cat commit)"
printf '%s\n' "${summary[@]}"
exit $failed
