# Tapline's tasks; `make help` lists them. Everything is built inside the checkout.

.DEFAULT_GOAL := build
# ONNX Runtime's builds for Linux report to their makers unless told not to; the program itself tells its own.
export ORT_DISABLE_TELEMETRY := 1
.PHONY: help setup setup-test setup-cuda build demo figures elpv test verdicts fuzz bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## install ONNX Runtime, weights and pictures into .venv and build the two models
	@tools/setup.sh

setup-test: ## the same, and the references the tests compare with
	@tools/setup.sh test

setup-cuda: ## install ONNX Runtime for NVIDIA GPUs into .venv-cuda
	@tools/setup.sh cuda

build: ## build target/release/tapline
	cargo build --release

demo: setup build ## find the best layer of two networks for solar-cell defects
	@tools/demo.sh

figures: demo ## copy the figures that README.md and docs/ show from the demo
	cp demo/figures/layers.png demo/figures/learning.png demo/explained/3-cell0487.png docs/

elpv: setup build ## hold linear probes on solar cells against the published figures
	@tools/elpv.sh

test: setup setup-test ## format, lints, documentation and all tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo test --workspace

verdicts: ## hold what compare's verdicts promise, by simulation: no false difference in 95 %, 5 points found in 90 % (minutes)
	cargo test --release -p tapline-compare --test verdict -- --ignored --nocapture --test-threads 1

fuzz: ## run each fuzz target for TIME seconds (60); TARGETS="…" for some of them; needs g++
	@TIME=$(TIME) tools/fuzz.sh $(TARGETS)

bench: setup setup-test demo $(if $(filter cuda,$(DEVICE)),setup-cuda) ## measure speed against other tools; ROWS="…" for some rows, DEVICE=cuda for those on a GPU
	cargo build --release --workspace --examples
	.venv/bin/python benches/bench.py $(or $(ROWS),$(if $(filter cuda,$(DEVICE)),cuda))

clean: ## remove what was built; the Python environments stay
	cargo clean
	rm -rf demo models/*.onnx models/*.onnx.part data/*.csv data/*.part
