# The steps of the VM gate: what the guest does with the card. Sourced by init, and by whoever works in `make vm-shell`.
# A step is a function step_NAME; it passes when it returns 0 within its time. What it prints is shown when it fails.
# Steps run as root; as_user runs a command as the unprivileged operator who owns the card's VFIO group.

STEPS="bound"
STEP_SECONDS=60

now() { cut -d' ' -f1 /proc/uptime; }
since() { echo "$1 $(now)" | awk '{ printf "%.2f", $2 - $1 }'; }
because() { echo "$*"; return 1; }

find_card() {
  CARD=
  for device in /sys/bus/pci/devices/*; do
    if [ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" = "0x10ee 0xca11 " ]; then
      CARD=$(basename "$device")
    fi
  done
  export CARD
}

# What `carillon bind` or a udev rule does on a real machine.
bind_card() {
  GROUP=
  [ -n "$CARD" ] || return 1
  echo vfio-pci >"/sys/bus/pci/devices/$CARD/driver_override"
  echo "$CARD" >/sys/bus/pci/drivers_probe
  GROUP=$(basename "$(readlink "/sys/bus/pci/devices/$CARD/iommu_group")")
  chown operator "/dev/vfio/$GROUP"
  export GROUP
}

as_user() { su operator -c "export PATH=/bin:/opt; cd; $*"; }

# Runs one step, in a shell of its own, and prints its result.
step() {
  started=$(now)
  if timeout -s KILL "$STEP_SECONDS" sh -c ". /steps.sh; step_$1" >"/tmp/$1.log" 2>&1; then
    echo "vm: ok $1 ($(since "$started") s)"
  else
    echo "vm: FAILED $1: $(tail -n 1 "/tmp/$1.log") ($(since "$started") s)"
    sed 's/^/  | /' "/tmp/$1.log"
  fi
}

run_steps() {
  for name in ${1:-$STEPS}; do
    step "$name"
  done
}

step_bound() {
  [ -n "$CARD" ] || because "no PCI device 10ee:ca11" || return
  driver=$(basename "$(readlink "/sys/bus/pci/devices/$CARD/driver")")
  [ "$driver" = vfio-pci ] || because "bound to '$driver', not to vfio-pci" || return
  as_user "test -r /dev/vfio/$GROUP -a -w /dev/vfio/$GROUP -a -w /dev/vfio/vfio" || because "the user may not open the group"
}

step_model() {
  as_user "time carillon bench msm --engine cpu --log2 12; time carillon bench msm --engine sim:model --log2 12;time carillon bench groth16 --engine sim:model --log2 6; time carillon setup --log2 6 --out k; time carillon prove --key k --engine cpu --out p; time driver_on_model --test-threads 2" >/dev/console 2>&1
}
