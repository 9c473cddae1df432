#!/usr/bin/env bash
# usage: kill_resume.sh FOVEA KILLS [RANKS]     trains LeNet-5 while a random process of it is killed (-9) at random times and the same command
# resumes it, KILLS times in all; the weights at the end must be those of a run that nothing stopped, byte for byte. Not part of `make test`:
# 100 kills take some minutes.
set -euo pipefail
fovea=$(realpath "$1")
kills=$2
ranks=${3:-1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
train=("$fovea" train lenet5 --data fashion-mnist --set per_class=1000 --epochs "${EPOCHS:-20}" --batch 32 --save-every-steps 7 --no-val --seed 3 --threads 1)
if [ "$ranks" -gt 1 ]; then train+=(--ranks "$ranks"); fi
"${train[@]}" --out "$folder/whole" > "$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }

done_kills=0 runs=0 slowest=0
while [ "$done_kills" -lt "$kills" ]; do
    runs=$((runs + 1))
    while true; do
        resume=()
        if [ -e "$folder/run$runs/config.json" ]; then resume=(--resume); fi  # killed before, it has left nothing
        setsid "${train[@]}" --out "$folder/run$runs" "${resume[@]}" > "$folder/log" 2>&1 &
        leader=$! was_killed=no
        if [ "$done_kills" -lt "$kills" ]; then
            sleep "$(printf '0.%03d' $((RANDOM % 900 + 100)))"
            mapfile -t processes < <(pgrep -s "$leader" || true)
            if [ "${#processes[@]}" -gt 0 ] && kill -9 "${processes[RANDOM % ${#processes[@]}]}" 2> /dev/null; then
                done_kills=$((done_kills + 1)) was_killed=yes
            fi
            begin=$SECONDS
            while pgrep -s "$leader" > /dev/null; do  # the others notice and end; a kill that came too late lets the run end by itself
                [ $((SECONDS - begin)) -lt 60 ] || { echo "kill_resume: processes are left a minute after a kill"; exit 1; }
                sleep 0.05
            done
            if [ $((SECONDS - begin)) -gt "$slowest" ]; then slowest=$((SECONDS - begin)); fi
        fi
        if wait "$leader"; then break; fi
        [ "$was_killed" = yes ] || { cat "$folder/log"; exit 1; }  # nothing but a kill may end it
    done
    cmp "$folder/whole/checkpoint-last.safetensors" "$folder/run$runs/checkpoint-last.safetensors"
done
echo "$done_kills kills on $ranks rank(s), $runs run(s): the weights are those of the run never stopped; at most ${slowest} s until all processes were gone"
