#!/usr/bin/env bash
# Runs each fuzz target, or those named, for TIME seconds (60 unless set); stops at the first fault and says which input.
# LLVM's coverage passes are within reach of stable Rust; the fuzzer itself is C++ and needs g++.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(store listing kept model picture)
seconds=${TIME:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS
# The build's own programs must not be instrumented, hence --target.
cargo build --release --target "$host" --bins
built="${CARGO_TARGET_DIR:-target}/$host/release"
for target in "${targets[@]}"; do
  mkdir -p "artifacts/$target" "corpus/$target"
  echo "== $target, $seconds s"
  "$built/$target" "corpus/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="artifacts/$target/"
done
