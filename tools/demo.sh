#!/usr/bin/env bash
# The main job on real pictures: which stage of two pretrained networks suits 2,624 solar-cell photographs?
# Features and scores stay in demo/, so a second run prints the tables at once. A defect may lie at a cell's border,
# which the cards' centre crop would cut off: --squash takes the whole picture.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for model in squeezenet1.1 efficientnet-lite0; do
    store=demo/elpv-$model
    target/release/tapline extract data/elpv.csv --model "$model" --squash --taps stages --pool mean --store "$store"
    echo
    target/release/tapline compare "$store"
    echo
done
target/release/tapline advise demo/elpv-squeezenet1.1 demo/elpv-efficientnet-lite0
echo
target/release/tapline report demo/elpv-squeezenet1.1 demo/elpv-efficientnet-lite0 --pictures data/elpv.csv \
    --title "Which layer finds defective solar cells?" --out demo/report.html --figures demo/figures
echo
# Three defective cells: a dark area, many cracks, one crack.
cells=$(grep -oE '^[^,]*/cell(0005|0044|0487)\.png' data/elpv.csv | sed 's#^#data/#')
# shellcheck disable=SC2086
target/release/tapline explain demo/elpv-efficientnet-lite0 --tap blocks.11 --class defective $cells --out demo/explained
echo
echo "Open demo/report.html in a browser: it holds all of this, with the pictures."
echo
echo "Your own pictures, one folder for each class:"
echo "  target/release/tapline extract FOLDER --model efficientnet-lite0 --store my.store"
echo "  target/release/tapline compare my.store"
echo "  target/release/tapline advise my.store"
echo "  target/release/tapline report my.store --pictures FOLDER --out report.html"
echo "The features are in demo/elpv-*: NumPy opens features/*.npy and pandas opens listing.parquet as they are."
