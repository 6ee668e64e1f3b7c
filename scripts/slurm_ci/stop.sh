#!/usr/bin/env bash
# Stop what start.sh FOLDER started, and nothing else.
set -uo pipefail
run=$(cd "$1" && pwd)
SLURM_CONF=$run/slurm.conf scancel --user=root 2>/dev/null
alive() { [ -s "$run/$1.pid" ] && kill -0 "$(cat "$run/$1.pid" 2>/dev/null)" 2>/dev/null; }
for name in slurmd slurmctld slurmdbd mariadb munged; do
  alive "$name" && kill "$(cat "$run/$name.pid")"
  for _ in $(seq 50); do alive "$name" || break; sleep 0.2; done
done
exit 0
