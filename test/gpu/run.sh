#!/bin/bash
# Runs the tests of a GPU, from the folder that `make gpu-bundle` made: run.sh [doctor] [kernels] [models].
# Ends with a summary, and the exit code 1 if anything failed.
cd "$(dirname "$0")" || exit 1
export EPIGRAPH_BUNDLE=$PWD EPIGRAPH_GPU_KERNELS=$PWD/kernels EPIGRAPH_GOLDENS=$PWD/goldens PYTHONDONTWRITEBYTECODE=1
parts=${*:-doctor kernels models}
failed=0

pytest() { python3 -m pytest -q -p no:cacheprovider --tb=short "$@" || failed=1; }

for part in $parts; do
  echo "== $part"
  case $part in
    doctor) bin/epigraph doctor || failed=1 ;;
    kernels) pytest test --ignore=test/test_models.py ;;
    models) pytest test/test_models.py ;;
    *) echo "unknown part '$part'; known are doctor, kernels, models"; exit 2 ;;
  esac
done
echo "== $([ $failed = 0 ] && echo passed || echo FAILED)"
exit $failed
