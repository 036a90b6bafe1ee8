#!/usr/bin/env bash
# The system packages the project can use, in one place: README and CI call this script.
# None is needed for `make run`; bubblewrap gives models a real sandbox instead of the weaker fallback.
set -euo pipefail
packages=(bubblewrap)
if [ "${1:-}" = --list ]; then printf '%s\n' "${packages[@]}"; exit 0; fi
if ! command -v apt-get >/dev/null; then echo "system-packages: this script knows Debian and Ubuntu; install by hand: ${packages[*]}" >&2; exit 1; fi
as_root=(); [ "$(id -u)" = 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
