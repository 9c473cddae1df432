#!/bin/sh
# usage: run.sh SECONDS BUILD_DIR      every fuzzer built in BUILD_DIR, SECONDS each, from its committed corpus; a table at the end.
# New inputs stay in BUILD_DIR/fuzz; a crash is written there and named, and the exit status is 1.
set -u
seconds=${1:?seconds for each fuzzer}
build=$(cd "${2:?build directory}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
status=0
table=""
for program in "$build"/tests/fuzz/*_fuzz; do
  [ -x "$program" ] || { echo "no fuzzers in $build/tests/fuzz: cmake --build $build first" >&2; exit 1; }
  target=$(basename "$program")
  name=${target%_fuzz}
  work=$build/fuzz/$name
  mkdir -p "$work/found" "$work/crashes" "$here/corpus/$name"
  "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$work/crashes/" "$work/found" "$here/corpus/$name" >"$work/log" 2>&1
  result=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$work/log")
  coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$work/log" | tail -n 1)
  verdict=ok
  if [ $result -ne 0 ]; then
    status=1
    verdict="FAILED: $(sed -n 's/.*Test unit written to //p' "$work/log" | tail -n 1) (log: $work/log)"
  fi
  table="$table$(printf '%-20s %12s %10s %10s  %s' "$name" "${runs:-?}" "${rate:-?}" "${coverage:-?}" "$verdict")
"
done
printf '%-20s %12s %10s %10s  %s\n' fuzzer executions per-second edges result
printf '%s' "$table"
exit $status
