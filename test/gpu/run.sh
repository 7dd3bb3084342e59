#!/bin/bash
# Runs the tests of a GPU, from the folder that `make gpu-bundle` made: run.sh [doctor] [driver] [kernels] [models].
# Ends with a summary, and the exit code 1 if anything failed.
cd "$(dirname "$0")" || exit 1
export LD_LIBRARY_PATH=$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export EPIGRAPH_BUNDLE=$PWD EPIGRAPH_GPU_KERNELS=$PWD/kernels EPIGRAPH_GOLDENS=$PWD/goldens PYTHONDONTWRITEBYTECODE=1
parts=${*:-doctor driver kernels models}
failed=0

pytest() { python3 -m pytest -q -p no:cacheprovider --tb=short "$@" || failed=1; }

for part in $parts; do
  echo "== $part"
  case $part in
    doctor) bin/epigraph doctor || failed=1 ;;
    driver) # what every driver does, done by that of NVIDIA's GPUs; without a GPU it fails
      EPIGRAPH_REQUIRE_GPU=1 EPIGRAPH_CONFORMANCE_CUBIN=$PWD/conformance.cubin \
        bin/runtime_driver_conformance_test --gtest_brief=1 --gtest_filter='*cuda*:Gpu/*' || failed=1 ;;
    kernels) pytest test --ignore=test/test_models.py ;;
    models) pytest test/test_models.py ;;
    *) echo "unknown part '$part'; known are doctor, driver, kernels, models"; exit 2 ;;
  esac
done
echo "== $([ $failed = 0 ] && echo passed || echo FAILED)"
exit $failed
