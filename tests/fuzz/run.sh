#!/bin/sh
# usage: run.sh SECONDS BUILD_DIR      every fuzzer built in BUILD_DIR, SECONDS each, one on each core, from its committed corpus; a table at the end.
# New inputs stay in BUILD_DIR/fuzz; a crash is written there and named, and the exit status is 1.
set -u
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = --one ]; then  # one fuzzer: its row of the table in BUILD_DIR/fuzz/NAME/row
  seconds=$2 build=$3 program=$4
  name=$(basename "$program" _fuzz)
  work=$build/fuzz/$name
  mkdir -p "$work/found" "$work/crashes" "$here/corpus/$name"
  verdict=ok
  "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$work/crashes/" "$work/found" "$here/corpus/$name" >"$work/log" 2>&1 ||
    verdict="FAILED: $(sed -n 's/.*Test unit written to //p' "$work/log" | tail -n 1) (log: $work/log)"
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$work/log")
  coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$work/log" | tail -n 1)
  printf '%-20s %12s %10s %10s  %s\n' "$name" "${runs:-?}" "${rate:-?}" "${coverage:-?}" "$verdict" | tee "$work/row"
  exit 0
fi

seconds=${1:?seconds for each fuzzer}
build=$(cd "${2:?build directory}" && pwd)
ls "$build"/tests/fuzz/*_fuzz >/dev/null 2>&1 || { echo "no fuzzers in $build/tests/fuzz: cmake --build $build first" >&2; exit 1; }
rm -f "$build"/fuzz/*/row
printf '%-20s %12s %10s %10s  %s\n' fuzzer executions per-second edges result
printf '%s\n' "$build"/tests/fuzz/*_fuzz | xargs -P "$(nproc)" -I{} "$0" --one "$seconds" "$build" {}
rows=$(cat "$build"/fuzz/*/row | wc -l)
[ "$rows" -eq "$(ls "$build"/tests/fuzz/*_fuzz | wc -l)" ] && ! grep -q FAILED "$build"/fuzz/*/row
