#!/bin/sh
# Installs what lies beside this script, without network. Nothing is started.
#   sh install.sh [--prefix /opt/dicom-ai-node] [--python python3.11] [--systemd]
set -eu
export LC_ALL=C

prefix=/opt/dicom-ai-node
python=python3
units=no
while [ $# -gt 0 ]; do
  case "$1" in
    --prefix) prefix=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    --systemd) units=yes; shift ;;
    *) echo "unknown: $1. Usage: sh install.sh [--prefix DIR] [--python PROGRAM] [--systemd]" >&2; exit 2 ;;
  esac
done

cd "$(dirname "$0")"

# before anything else: each file is the one that was packed, and there is no other
if ! sha256sum --check --strict --quiet SHA256SUMS; then
  echo "This archive was damaged or changed: fetch it again. Nothing was installed." >&2
  exit 1
fi
listed=$(mktemp)
found=$(mktemp)
trap 'rm -f "$listed" "$found"' EXIT
cut -c67- SHA256SUMS | sort > "$listed"
find . -type f ! -path ./SHA256SUMS | cut -c3- | sort > "$found"
if ! cmp -s "$listed" "$found"; then
  echo "There are files here that were not packed: unpack the archive into an empty folder. Nothing was installed." >&2
  exit 1
fi

wanted=$(cat PYTHON)
is=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || is=none
if [ "$is" != "$wanted" ]; then
  echo "The wheels are for Python $wanted, and $python is $is: name another one with --python." >&2
  exit 1
fi

"$python" -m venv "$prefix"
"$prefix/bin/python" -m pip --disable-pip-version-check --no-cache-dir install --quiet \
  --no-index --find-links wheels --require-hashes --no-deps -r wheels.lock
"$prefix/bin/python" -m pip --disable-pip-version-check check
cp sbom.cdx.json "$prefix/"

config=$prefix/config
models=$prefix/models
if [ "$units" = yes ]; then
  config=/etc/dicom-ai-node
  models=/var/lib/dicom-ai-node/models
  install -D -m 0644 systemd/dicom-ai-node.sysusers.conf /usr/lib/sysusers.d/dicom-ai-node.conf
  install -D -m 0644 systemd/dicom-ai-node.tmpfiles.conf /usr/lib/tmpfiles.d/dicom-ai-node.conf
  systemd-sysusers dicom-ai-node.conf
  systemd-tmpfiles --create dicom-ai-node.conf
  for unit in systemd/*.service systemd/*.target; do
    install -m 0644 "$unit" /etc/systemd/system/
  done
  systemctl daemon-reload
fi
mkdir -p "$config" "$models"
# a configuration that is there is the administrator's: the files of a folder are merged
set -- "$config"/*.yaml
if [ ! -e "$1" ]; then
  for file in config/*.yaml; do
    copied=$config/$(basename "$file")
    cp "$file" "$copied"
    if [ "$units" = yes ]; then
      chown root:dicom-ai-node "$copied"
      chmod 0640 "$copied"
    fi
  done
fi
for folder in models/*/*/; do
  [ -d "$folder" ] || continue
  place=$models/${folder#models/}
  [ -e "$place" ] || { mkdir -p "$(dirname "$place")" && cp -R "$folder" "$place"; }
done
if [ "$units" = yes ]; then
  chown -R dicom-ai-node: "$models"
  # the folder alone: below it are keys, which are of no use once a group can read them
  chgrp dicom-ai-node "$config"
  chmod g+rx "$config"
fi

"$prefix/bin/dicom-ai-node" version
echo "Installed in $prefix; the configuration is in $config."
if [ "$units" = yes ]; then
  echo "Edit it, then: $prefix/bin/dicom-ai-node check --config $config && systemctl enable --now dicom-ai-node"
else
  echo "Edit it, then: $prefix/bin/dicom-ai-node check --config $config"
fi
