#!/usr/bin/env bash
# Stop what start.sh FOLDER started, and nothing else.
set -uo pipefail
run=$(cd "$1" && pwd)
export SLURM_CONF=$run/slurm.conf
timeout 10 scancel --user=root 2>/dev/null
# A step whose controller goes first would look for it for minutes.
for _ in $(seq 50); do [ -z "$(timeout 10 squeue --noheader 2>/dev/null)" ] && break; sleep 0.2; done
sleep 1
alive() { [ -s "$run/$1.pid" ] && kill -0 "$(cat "$run/$1.pid" 2>/dev/null)" 2>/dev/null; }
for name in slurmd slurmctld slurmdbd mariadb munged; do
  alive "$name" || continue
  process=$(cat "$run/$name.pid")
  kill "$process"
  for _ in $(seq 50); do kill -0 "$process" 2>/dev/null || break; sleep 0.2; done
  kill -9 "$process" 2>/dev/null
done
exit 0
