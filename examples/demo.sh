#!/bin/sh
# usage: demo.sh BUILD OUT   LeNet learns Fashion-MNIST in five epochs; then it names test pictures, here and in OUT/predictions.png.
set -eu
fovea=$1/apps/cli/fovea
out=$2
rm -rf "$out"
mkdir -p "$out"
echo "LeNet 20-50-500 (431,080 parameters) learns Fashion-MNIST: 60,000 pictures of clothes, five epochs."
"$fovea" train lenet_caffe --data fashion-mnist --epochs 5 --seed 1 --out "$out/run"
echo
echo "What it sees in test pictures it was never shown:"
"$fovea" predict "$out/run" --data fashion-mnist --count 8 --topk 3
"$fovea" predict "$out/run" --data fashion-mnist --count 48 --topk 1 --picture "$out/predictions.png" --json > "$out/predictions.json"
echo
echo "48 predictions as a picture: $out/predictions.png"
"$fovea" eval "$out/run" --data fashion-mnist
