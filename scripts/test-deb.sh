#!/usr/bin/env bash
# Builds the Debian packages from the development build, installs them into a scratch root, examines them, purges them.
# Touches nothing outside the scratch folder. What a machine lacks to examine is named and skipped.
#
#   scripts/test-deb.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
check() { # NAME COMMAND...
  local name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    echo "deb: ok     $name"
  else
    echo "deb: FAILED $name"
    sed 's/^/         /' "$work/log"
    failed=1
  fi
}
skip() { echo "deb: skip   $1"; }

scripts/build-deb.sh --dev "$work" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
package=$(echo "$work"/carillon_*.deb)
node_package=$(echo "$work"/carillon-node_*.deb)
root=$work/root
node=$work/node
mkdir "$root" "$work/control" "$node" "$work/node-control"
dpkg-deb -x "$package" "$root"
dpkg-deb -e "$package" "$work/control"
dpkg-deb -x "$node_package" "$node"
dpkg-deb -e "$node_package" "$work/node-control"

# ---- files and modes ----
present() { present_in "$root" "$@"; }
present_in() { # ROOT MODE PATH...
  local root=$1 mode=$2 path
  shift 2
  for path in "$@"; do
    [ "$(stat -c %a "$root/$path")" = "$mode" ] || { echo "$path: $(stat -c %a "$root/$path"), not $mode"; return 1; }
    [ -s "$root/$path" ] || { echo "$path is empty"; return 1; }
  done
}
check "programs" present 755 usr/bin/carillon usr/lib/carillon/udev
check "files" present 644 usr/lib/udev/rules.d/60-carillon.rules usr/lib/systemd/system/carillon-events.service \
  usr/lib/sysusers.d/carillon.conf usr/lib/modules-load.d/carillon.conf usr/lib/sysctl.d/60-carillon.conf \
  usr/share/carillon/prover.conf usr/share/man/man1/carillon.1.gz usr/share/doc/carillon/{README.md,CHANGELOG.md,copyright} \
  usr/share/doc/carillon/{LICENSE-MIT,LICENSE-APACHE,changelog.Debian.gz} usr/share/bash-completion/completions/carillon \
  usr/share/zsh/vendor-completions/_carillon usr/share/fish/vendor_completions.d/carillon.fish
check "the node's program" present_in "$node" 755 usr/bin/carillon-node
check "the node's files" present_in "$node" 644 usr/lib/systemd/system/carillon-node.service usr/lib/sysusers.d/carillon-node.conf \
  etc/carillon/node.toml usr/share/man/man1/{carillon-node,carillon-node-run,carillon-node-deposit}.1.gz \
  usr/share/doc/carillon-node/{NODE.md,devnet.md,operator-gone.md,CHANGELOG.md,copyright,changelog.Debian.gz} \
  usr/share/bash-completion/completions/carillon-node usr/share/zsh/vendor-completions/_carillon-node \
  usr/share/fish/vendor_completions.d/carillon-node.fish
nothing_else() { ! find "$root" "$node" -type f \( -perm /022 -o -perm /7000 \) | grep .; }
check "nothing is writable by others, nothing is set-uid" nothing_else
check "the maintainer is told what it depends on" grep -q '^Depends:.*libc6' "$work/control/control"

# ---- what the files say ----
version() { "$root/usr/bin/carillon" --version | grep -qx "carillon $(dpkg-deb -f "$package" Version | sed 's/-.*//')"; }
check "the packaged program runs" version
node_version() { "$node/usr/bin/carillon-node" --version | grep -qx "carillon-node $(dpkg-deb -f "$node_package" Version | sed 's/-.*//')"; }
check "the packaged node runs" node_version
# The file that is installed is read, and `run` then asks for what it lacks, with the code of wrong input.
node_config() {
  local code=0
  CARILLON_DATA_DIR= env -u CARILLON_DATA_DIR "$node/usr/bin/carillon-node" run --config "$node/etc/carillon/node.toml" 2>"$work/log.node" || code=$?
  [ "$code" -eq 4 ] && grep -q -- "--data-dir is needed" "$work/log.node"
}
check "the node accepts its configuration file" node_config
check "the node's configuration survives upgrades" grep -qx /etc/carillon/node.toml "$work/node-control/conffiles"
check "bash accepts the node's completions" bash -n "$node/usr/share/bash-completion/completions/carillon-node"
check "bash accepts the completions" bash -n "$root/usr/share/bash-completion/completions/carillon"
manual() { zcat "$root"/usr/share/man/man1/carillon.1.gz | grep -q '^\.TH'; }
check "the manual page is one" manual
for script in "$work"/{control,node-control}/{postinst,prerm,postrm} "$root/usr/lib/carillon/udev"; do
  check "sh accepts ${script##*/}" sh -n "$script"
  if command -v shellcheck >/dev/null; then
    # debhelper's own lines are not ours to judge.
    check "shellcheck accepts ${script##*/}" shellcheck -s sh -S warning "$script"
  fi
done
command -v shellcheck >/dev/null || skip "shellcheck is not installed"
events() { "$root/usr/bin/carillon" events --help; }
check "the service's command exists" events
if command -v systemd-analyze >/dev/null; then
  # Of the unit alone: the scratch root has no other units.
  unit=$root/usr/lib/systemd/system/carillon-events.service
  verifies() { # ROOT NAME
    sed "s|^ExecStart=/usr|ExecStart=$1/usr|" "$1/usr/lib/systemd/system/$2.service" >"$work/$2.service"
    systemd-analyze verify --man=no "$work/$2.service" 2>&1 | tee "$work/verify"
    ! grep "$2" "$work/verify"
  }
  check "systemd accepts the unit" verifies "$root" carillon-events
  check "systemd accepts the node's unit" verifies "$node" carillon-node
  node_exposure() { systemd-analyze security --offline=yes --threshold=20 "$node/usr/lib/systemd/system/carillon-node.service"; }
  check "the node's exposure is at most 2.0 of 10" node_exposure
  drop_in() {
    mkdir -p "$work/units/prover.service.d"
    printf '[Service]\nExecStart=/bin/true\nDevicePolicy=closed\n' >"$work/units/prover.service"
    cp "$root/usr/share/carillon/prover.conf" "$work/units/prover.service.d/carillon.conf"
    systemd-analyze verify --man=no "$work/units/prover.service" 2>&1 | tee "$work/verify"
    ! grep "prover" "$work/verify"
  }
  check "systemd accepts the drop-in" drop_in
  exposure() { systemd-analyze security --offline=yes --threshold=20 "$unit"; }
  check "the service's exposure is at most 2.0 of 10" exposure
else
  skip "systemd-analyze is not installed"
fi
if udevadm verify --help >/dev/null 2>&1; then
  check "udev accepts the rules" udevadm verify --resolve-names=never "$root/usr/lib/udev/rules.d/60-carillon.rules"
else
  skip "this udevadm cannot verify rules"
fi

# ---- the helper of the rules, on trees like sysfs ----
export CARILLON_SYSFS=$work/sys
device() { # ADDRESS GROUP VENDOR DEVICE CLASS [DRIVER]
  local at=$CARILLON_SYSFS/bus/pci/devices/$1
  mkdir -p "$at" "$CARILLON_SYSFS/kernel/iommu_groups/$2/devices" "$CARILLON_SYSFS/bus/pci/drivers/vfio-pci"
  echo "$3" >"$at/vendor"
  echo "$4" >"$at/device"
  echo "$5" >"$at/class"
  echo "(null)" >"$at/driver_override"
  ln -s "$CARILLON_SYSFS/kernel/iommu_groups/$2" "$at/iommu_group"
  ln -s "$at" "$CARILLON_SYSFS/kernel/iommu_groups/$2/devices/$1"
  if [ -n "${6:-}" ]; then
    mkdir -p "$CARILLON_SYSFS/bus/pci/drivers/$6"
    ln -s "$CARILLON_SYSFS/bus/pci/drivers/$6" "$at/driver"
  fi
}
helper() { "$root/usr/lib/carillon/udev" "$@"; }
refuses() { ! helper "$@"; }
device 0000:03:00.0 7 0x10ee 0xca11 0x120000
device 0000:00:01.0 7 0x8086 0x1901 0x060400 pcieport
device 0000:04:00.0 8 0x10ee 0xca11 0x120000
device 0000:04:00.1 8 0x8086 0x1533 0x020000 igb
device 0000:05:00.0 9 0x10ee 0xca11 0x120000 other
mkdir -p "$CARILLON_SYSFS/kernel/iommu_groups/10/devices"
check "a group of a card and a bridge is the card's" helper group 7
check "a group with a network card is not" refuses group 8
check "an empty group is not" refuses group 10
check "a group that does not exist is not" refuses group 11
probe=$CARILLON_SYSFS/bus/pci/drivers_probe
bound() { # ADDRESS
  rm -f "$probe"
  helper bind "$1" && [ "$(cat "$CARILLON_SYSFS/bus/pci/devices/$1/driver_override")" = vfio-pci ] && [ "$(cat "$probe")" = "$1" ]
}
left_alone() { # ADDRESS REASON
  rm -f "$probe"
  helper bind "$1" 2>"$work/reason" && [ ! -e "$probe" ] && grep -q "$2" "$work/reason" &&
    [ "$(cat "$CARILLON_SYSFS/bus/pci/devices/$1/driver_override")" = "${3:-(null)}" ]
}
check "a free card is bound" bound 0000:03:00.0
check "a card with a busy neighbour is left alone" left_alone 0000:04:00.0 "another device"
check "a card with a driver is left alone" left_alone 0000:05:00.0 "driver other has it"
check "another device is left alone" left_alone 0000:04:00.1 "no Carillon card"
rm "$CARILLON_SYSFS/bus/pci/devices/0000:03:00.0/iommu_group"
check "a card without an IOMMU is left alone" left_alone 0000:03:00.0 "no IOMMU" vfio-pci
unset CARILLON_SYSFS

# ---- install, remove, purge; the scripts run on this machine, but on the scratch root ----
if [ "$(id -u)" -eq 0 ]; then
  scratch=$work/scratch
  mkdir -p "$scratch"/var/lib/dpkg/{info,updates,triggers} "$scratch/etc"
  touch "$scratch/var/lib/dpkg/status"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$scratch/etc/passwd"
  printf 'root:x:0:\n' >"$scratch/etc/group"
  tree() { (cd "$scratch" && find . -path ./var/lib/dpkg -prune -o -type f -print -o -type l -print | sort); }
  names() { cut -d: -f1 "$scratch/etc/passwd" "$scratch/etc/group"; }
  own_dpkg() {
    dpkg --root="$scratch" --log="$work/dpkg.log" --force-script-chrootless --force-depends --no-triggers "$@"
  }
  before=$(tree)$(names)
  check "it installs" own_dpkg -i "$package"
  check "it makes its user" grep -q '^carillon:' "$scratch/etc/passwd"
  check "it is installed" test -x "$scratch/usr/bin/carillon"
  check "it upgrades to itself" own_dpkg -i "$package"
  check "it is removed" own_dpkg -r carillon
  check "nothing of it can run" test ! -e "$scratch/usr/bin/carillon"
  check "it is purged" own_dpkg -P carillon
  check "the node installs" own_dpkg -i "$node_package"
  check "the node makes its user" grep -q '^carillon-node:' "$scratch/etc/passwd"
  check "the node upgrades to itself" own_dpkg -i "$node_package"
  check "the node is removed and purged" own_dpkg -P carillon-node
  leaves_nothing() {
    # What the tools that make and remove users keep of their own.
    local rest
    rest=$(tree | grep -vE '^\./etc/(\.pwd\.lock|passwd-|group-|shadow-?|gshadow-?|subuid-?|subgid-?)$')$(names)
    [ "$rest" = "$before" ] || { diff <(echo "$before") <(echo "$rest"); return 1; }
  }
  check "purging leaves nothing" leaves_nothing
else
  skip "installation needs root for the scratch root's file owners"
fi

[ "$failed" -eq 0 ]
