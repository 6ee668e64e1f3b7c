#!/usr/bin/env bash
# Install what start.sh needs, from Debian's or Ubuntu's archive. Root.
set -euo pipefail
packages=(slurmctld slurmd slurm-client munge slurmdbd mariadb-server)
command -v slurmctld slurmd sbatch munged slurmdbd mariadbd >/dev/null && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null 2>&1 && exit 0
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
