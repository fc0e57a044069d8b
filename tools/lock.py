"""Lock requirements*.in into requirements*.txt: every package with its exact version and the hashes of its files.

Usage: python tools/lock.py [FILE.in ...]   (needs a recent pip and the package index)

pip resolves each list once, for the oldest Python supported, then states which file it would take of each package
for every Python and processor below; nothing is downloaded but metadata. A source archive is locked only
where a package has no wheel, so that nothing else can ever be compiled during an installation.
"""

import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PROCESSORS = ("x86_64", "aarch64")
NEWEST_GLIBC = 35


def read_list(path):
    """The comment at the top, the requirements to resolve, and those taken alone."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = [line for line in lines if line.startswith("#") and "tools/lock.py" not in line]
    wanted = [line.partition("#") for line in lines if line and not line.startswith("#")]
    whole = [requirement.strip() for requirement, _, note in wanted if note.strip() != "alone"]
    alone = [requirement.strip() for requirement, _, note in wanted if note.strip() == "alone"]
    return comment, whole, alone


def ask_pip(requirements, *options):
    """Name, version and SHA-256 of each file pip would install, or none where pip finds no set of files."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        done = subprocess.run([*command, "--report", report, *options, *requirements], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            return None
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    digests = [item["download_info"]["archive_info"]["hashes"]["sha256"] for item in items]
    return [(item["metadata"]["name"], item["metadata"]["version"], digest) for item, digest in zip(items, digests)]


def target(python, processor):
    """pip's options for another machine, newest C library first as pip itself would choose."""
    platforms = [f"manylinux_2_{minor}_{processor}" for minor in range(NEWEST_GLIBC, 16, -1)]
    platforms += [f"manylinux2014_{processor}"]
    options = [f"--platform={platform}" for platform in platforms]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *options]


def files_of(pin, targets):
    """The SHA-256 of each file of one pinned package that some target takes."""
    digests, without = set(), []
    for python, processor in targets:
        found = ask_pip([pin], "--no-deps", *target(python, processor))
        if found is None:
            without.append(f"{python}/{processor}")
        else:
            digests.add(found[0][2])
    if not digests:
        (found,) = ask_pip([pin], "--no-deps", f"--no-binary={pin.partition('==')[0]}", "--no-build-isolation")
        return {found[2]}, ["every target (source archive)"]
    return digests, without


def lock(path):
    comment, whole, alone = read_list(path)
    resolved = ask_pip(whole, *target(PYTHONS[0], PROCESSORS[0])) if whole else []
    if resolved is None:
        raise SystemExit(f"{path.name}: pip finds no versions that fit together")
    pins = sorted({f"{name.lower().replace('_', '-')}=={version}" for name, version, _ in resolved} | set(alone))
    lines = [*comment, f"# Locked from {path.name} by tools/lock.py; install with --require-hashes --no-deps."]
    for pin in pins:
        digests, without = files_of(pin, itertools.product(PYTHONS, PROCESSORS))
        if without:
            print(f"{path.name}: {pin} has no wheel for {', '.join(without)}", file=sys.stderr)
        lines.append(" \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in sorted(digests))]))
    path.with_suffix(".txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for path in map(pathlib.Path, sys.argv[1:]) if len(sys.argv) > 1 else sorted(ROOT.glob("requirements*.in")):
        lock(path)
