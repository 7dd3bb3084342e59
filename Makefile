# The few commands that people type; CMake and Ninja do the work. `make help` lists them.
# Options go through the environment: JOBS=4 make build, PREFIX=/opt/epigraph make install.
.DEFAULT_GOAL := help
.PHONY: help demo test build gpu-bundle format lint asan release install clean deps

JOBS ?= $(shell nproc)
PREFIX ?= $(CURDIR)/build/install
DEV := build/dev

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: deps ## build the tools, compile the small model for two ranks, and generate text with it
	@cmake --preset dev
	@cmake --build $(DEV) -j $(JOBS) --target epigraph epigraph-compile
	@scripts/demo $(DEV)/bin build/demo

test: deps build ## build everything and run every test
	@ctest --test-dir $(DEV) --output-on-failure -j $(JOBS)

build: deps ## build everything (tools, Python module, tests) in build/dev
	@cmake --preset dev
	@cmake --build $(DEV) -j $(JOBS)

gpu-bundle: build ## all that a machine with GPUs needs to run the GPU tests and benchmarks, in build/gpu-bundle
	@cmake --preset static
	@cmake --build --preset static -j $(JOBS)
	@.venv/bin/python scripts/gpu-bundle --build $(DEV)

format: ## format the C++ files that differ from the main branch
	@scripts/install-deps --lint
	@scripts/lint --fix

lint: build ## clang-format, clang-tidy and the project's own checks on what changed
	@scripts/install-deps --lint
	@scripts/lint --build $(DEV)

asan: ## build with the sanitizers, and run the lit, GoogleTest and fuzz tests
	@scripts/install-deps --asan
	@cmake --preset asan
	@cmake --build build/asan -j $(JOBS)
	@ctest --test-dir build/asan --output-on-failure -j $(JOBS)

release: deps ## build without assertions in build/release
	@cmake --preset release
	@cmake --build build/release -j $(JOBS)

install: release ## install the tools, and what plugins build against, under PREFIX (build/install)
	@cmake --install build/release --component tools --prefix $(PREFIX) --strip
	@cmake --install build/release --component development --prefix $(PREFIX)

clean: ## remove all build folders
	rm -rf build

deps:
	@scripts/install-deps
