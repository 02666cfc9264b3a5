#!/bin/sh
# Passwords of Orthanc and Grafana, made once; nothing here has a default one.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 0700 secrets
# the containers run as users of their own, who read the files by "other"; the folder keeps people out
random() { od -An -N 18 -tx1 /dev/urandom | tr -d ' \n'; }
[ -e secrets/grafana_password ] || random > secrets/grafana_password
[ -e secrets/orthanc_users.json ] ||
  printf '{"RegisteredUsers": {"radiology": "%s"}}\n' "$(random)" > secrets/orthanc_users.json
chmod 0444 secrets/grafana_password secrets/orthanc_users.json
echo "Made: $(pwd)/secrets. Orthanc: user radiology. Grafana: user admin."
