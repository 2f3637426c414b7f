# What to type. The build itself is CMake (CMakeLists.txt, CMakePresets.json); the first target that needs a
# Debian package installs it (scripts/debian-packages.txt).
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
# ON turns compiler warnings into errors, as continuous integration does.
WERROR ?= OFF
# How long `make fuzz` runs each target, in seconds.
FUZZ_SECONDS ?= 20
PREFIX ?= /usr/local
# Layers that `make test-arm64` tests, codec and kernels among them. The emulated CPU is some 10 times slower than
# this one, and the tests of cli start programs themselves.
ARM64_LAYERS ?= base tensor text codec format kernels model runtime compress eval

# Preset; ON to build tests and benchmarks too.
configure = cmake --preset $(1) -DTWOFOLD_TESTS=$(2) -DTWOFOLD_BENCH=$(2) -DTWOFOLD_WERROR=$(WERROR) --log-level=WARNING > /dev/null
build = cmake --build build/$(1) -j $(JOBS)
# CPU that QEMU shows, layers: `max` has every extension, `cortex-a53` none. What takes minutes there is left out.
test_arm64 = QEMU_CPU=$(1) ctest --test-dir build/arm64 -j $(JOBS) -L "^($$(echo $(2) | tr ' ' '|'))$$" \
	-E '^(RealWeights|Sgemm.ThreadsAtTheSameTime|kernels.scalar)' --output-on-failure --no-tests=error

.PHONY: help demo build test test-arm64 lint sanitize fuzz cuda bench install clean emulate-avx512

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

demo: deps-build ## Compress the model in demo/ and run it both ways
	@$(call configure,release,OFF)
	@$(call build,release) --target twofold
	@scripts/demo.sh

build: deps-build ## Build the program: build/release/twofold
	@$(call configure,release,OFF)
	@$(call build,release)

test: deps-build deps-test ## Build everything and run all tests
	@$(call configure,release,ON)
	@$(call build,release)
	@ctest --test-dir build/release -j $(JOBS) --output-on-failure --no-tests=error

test-arm64: deps-build deps-test deps-arm64 ## Build for 64-bit ARM and run the tests on emulated CPUs
	@$(call configure,arm64,ON)
	@$(call build,arm64) --target $(ARM64_LAYERS:%=test_%)
	@$(call test_arm64,max,$(ARM64_LAYERS))
	@$(call test_arm64,cortex-a53,codec kernels)

lint: deps-build deps-test deps-clang ## Check format, layering and clang-tidy
	@scripts/check-format.sh
	@scripts/check-layers.sh
	@$(call configure,sanitize,ON)
	@cmake --build build/sanitize --target CMakeFiles/twofold.dir/cmake_pch.hxx.pch
	@scripts/check-tidy.sh build/sanitize $(JOBS)

sanitize: deps-build deps-test deps-clang ## Run all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(call configure,sanitize,ON)
	@$(call build,sanitize)
	@UBSAN_OPTIONS=print_stacktrace=1 ctest --test-dir build/sanitize -j $(JOBS) --output-on-failure --no-tests=error

fuzz: deps-build deps-test deps-clang ## Run each fuzz target for FUZZ_SECONDS (20)
	@$(call configure,sanitize,ON)
	@$(call build,sanitize) --target fuzzers
	@scripts/fuzz.sh build/sanitize/fuzz $(FUZZ_SECONDS) $(JOBS)

bench: deps-build deps-test ## Measure the codecs on the demo model, and the kernels
	@$(call configure,release,ON)
	@$(call build,release) --target twofold kernels_bench
	@build/release/twofold bench codecs -m demo/books-llama-8m
	@build/release/bench/kernels_bench

install: build ## Install the program under PREFIX (/usr/local)
	@cmake --install build/release --prefix $(PREFIX)

cuda: deps-build deps-test ## Build the kernels for NVIDIA GPUs (needs nvcc) and run their tests
	@cmake --preset release -B build/cuda -DTWOFOLD_CUDA=ON -DTWOFOLD_TESTS=ON -DTWOFOLD_WERROR=$(WERROR) --log-level=WARNING > /dev/null
	@$(call build,cuda) --target test_kernels test_runtime
	@ctest --test-dir build/cuda -L gpu --output-on-failure --no-tests=error

emulate-avx512: deps-build deps-test ## Run the tests of the AVX-512 code on an emulated CPU (slow)
	@$(call configure,release,ON)
	@$(call build,release) --target test_codec test_kernels
	@scripts/emulate-avx512.sh

clean: ## Remove everything that was built
	@rm -rf build demo/out

deps-%:
	@scripts/install-deps.sh $*
