# The few commands. `make test` and `make demo` work on a fresh Debian 12: they install what is missing (cmake/packages.txt), then build.
.PHONY: build test demo bench fuzz packages

build: packages
	cmake --preset release
	cmake --build --preset release

test: build
	ctest --preset release -j $$(nproc)

# LeNet learns Fashion-MNIST in five epochs, then names pictures it has never seen. It needs the command alone, two thirds of a full build.
demo: packages
	cmake --preset release
	cmake --build --preset release --target fovea-cli
	examples/demo.sh build/release build/demo

# fovea beside PyTorch and ONNX Runtime, in one run; needs the network once, for npm's onnxruntime-node.
bench: build
	cmake/packages.sh bench
	bench/compare --fovea build/release/apps/cli/fovea --out build/bench
	build/release/bench/fovea-figures --fovea build/release/apps/cli/fovea

# Every parser, a minute each, under the address and undefined-behaviour sanitizers.
fuzz:
	cmake/packages.sh all fuzz
	cmake --preset fuzz
	cmake --build --preset fuzz
	tests/fuzz/run.sh 60 build/fuzz

packages:
	@cmake/packages.sh all
