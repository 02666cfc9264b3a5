#!/usr/bin/env bash
# The programs that the tests put beside the node: a PACS, validators, a browser, a Prometheus.
# Needs root and apt for what is missing; without them it says what will be skipped.
# With CI=true a program that is still missing at the end is an error.
set -euo pipefail

PATH="$PATH:/usr/sbin:/sbin" # Orthanc is there, and not on every user's PATH
POLICY=/usr/sbin/policy-rc.d

there() {
  case "$1" in
    orthanc) command -v Orthanc ;;
    orthanc-dicomweb) compgen -G '/usr/share/orthanc/plugins/libOrthancDicomWeb.so*' ;;
    dcmtk) command -v dcmdump ;;
    dicom3tools) command -v dciodvfy ;;
    pixelmed-apps) command -v DicomSRValidator ;;
    strace) command -v strace ;;
    chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
    prometheus) command -v promtool && command -v prometheus ;;
    nodejs) command -v node ;;
    npm) command -v npm ;;
  esac >/dev/null
}

missing() {
  local package
  for package in orthanc orthanc-dicomweb dcmtk dicom3tools pixelmed-apps strace chromium \
    prometheus nodejs npm; do
    there "$package" || echo "$package"
  done
}

install_packages() {
  # Debian starts a service as soon as it is installed; exit 101 forbids that (invoke-rc.d(8)).
  if [ ! -e "$POLICY" ]; then
    trap 'rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || echo "apt-get update failed: trying with the lists that are there" >&2
  local package
  for package in "$@"; do # one by one: a system that lacks one of them still gets the others
    echo "installing $package"
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
      echo "$package could not be installed" >&2
  done
}

mapfile -t wanted < <(missing)
if [ "${#wanted[@]}" -gt 0 ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  install_packages "${wanted[@]}"
  mapfile -t wanted < <(missing)
fi
if [ "${#wanted[@]}" -gt 0 ]; then
  echo "Missing: ${wanted[*]}. Tests that need them are skipped;" \
    "as root on Debian or Ubuntu: apt install ${wanted[*]}" >&2
  if [ "${CI:-}" = true ]; then
    exit 1
  fi
fi
