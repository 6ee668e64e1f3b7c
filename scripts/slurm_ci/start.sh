#!/usr/bin/env bash
# Start SLURM with accounting on this machine alone: start.sh FOLDER, a folder of its own for all that it writes. Root.
# Then: export SLURM_CONF=FOLDER/slurm.conf
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
run=$(cd "$1" && pwd)
mkdir -p "$run/ctld" "$run/d"
chmod 755 "$run"
sed "s#@RUN@#$run#g" "$here/slurm.conf.in" >"$run/slurm.conf"
sed "s#@RUN@#$run#g" "$here/slurmdbd.conf.in" >"$run/slurmdbd.conf"
chmod 600 "$run/slurmdbd.conf"  # or slurmdbd refuses it
cp "$here/gres.conf" "$run"
export SLURM_CONF=$run/slurm.conf
until_true() { for _ in $(seq 150); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "in vain: $*" >&2; return 1; }

if ! munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then
  install -d -o munge -g munge -m 0755 /run/munge
  (cd / && setpriv --reuid=munge --regid=munge --clear-groups munged --pid-file="/run/munge/munged.pid")
  cp /run/munge/munged.pid "$run/munged.pid"
fi

if ! mariadb -e 'select 1' >/dev/null 2>&1; then
  install -d -o mysql -g mysql -m 0755 /run/mysqld
  install -d -o mysql -g mysql -m 0700 "$run/mysql"
  mariadb-install-db --user=mysql --datadir="$run/mysql" --skip-test-db >/dev/null
  setsid mariadbd --no-defaults --user=mysql --datadir="$run/mysql" --skip-networking --socket=/run/mysqld/mysqld.sock \
    --pid-file="$run/mysql/mariadb.pid" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
    >"$run/mariadb.log" 2>&1 </dev/null &
  until_true mariadb -e 'select 1'
  cp "$run/mysql/mariadb.pid" "$run/mariadb.pid"
fi
mariadb -e 'create database if not exists slurm_acct_db'

slurmdbd
until_true sacctmgr -n list cluster
sacctmgr -n list cluster | grep -q ' ci ' || sacctmgr -i add cluster ci >/dev/null
slurmctld
slurmd -N localhost
idle() { [ "$(sinfo --noheader --format=%T)" = idle ]; }
until_true idle || { tail -n 20 "$run/slurmctld.log" "$run/slurmd.log" >&2; exit 1; }
