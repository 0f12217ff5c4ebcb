# The steps of the VM gate: what the guest does with the card. Sourced by init, and by whoever works in `make vm-shell`.
# A step is a function step_NAME; it passes when it returns 0 within its time. What it prints is shown when it fails.
# Steps run as root; as_user runs a command as the unprivileged operator who owns the card's VFIO group.

STEPS="bound list examine validate reset memlock proof second killed unplugged suite pulled"
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

# ---- The operator's commands ----

step_list() {
  as_user carillon list --json >/tmp/list.json || return
  grep -q "$CARD" /tmp/list.json || because "carillon list does not show $CARD: $(cat /tmp/list.json)"
}

step_examine() { as_user carillon examine "$CARD"; }
step_validate() { as_user carillon validate -l 3 "$CARD"; }
step_reset() { as_user carillon reset "$CARD"; }

# A card that may pin no memory: the refusal names the limit.
step_memlock() {
  as_user "ulimit -l 64; carillon examine $CARD" && because "opened with 64 KiB of locked memory" && return 1
  grep -q RLIMIT_MEMLOCK /tmp/memlock.log || because "the error does not name RLIMIT_MEMLOCK"
}

# ---- A proof ----

step_proof() {
  as_user "carillon setup --quiet --log2 6 --out key && carillon prove --key key --engine vfio:$CARD --json --out proof >proof.json" || return
  input=$(sed -n 's/.*"public_inputs*":[^"]*"\([0-9a-f]\{64\}\)".*/\1/p' /home/operator/proof.json)
  as_user carillon verify --key key --proof proof --input "$input"
}

# ---- A card with two users, or one that ends badly ----

# A command that keeps the card busy for seconds, in the background; returns once it holds the card.
# Its process is $JOB, its output /tmp/job.log.
start_job() {
  as_user exec carillon bench groth16 --quiet --engine "vfio:$CARD" --log2 "${1:-12}" >/tmp/job.log 2>&1 &
  JOB=$!
  for _ in $(seq 100); do
    # Held, and its interrupts connected: the card is in use.
    ls -l "/proc/$JOB/fd" 2>/dev/null | grep -q "/dev/vfio/$GROUP" && grep -q vfio-msix /proc/interrupts && sleep "${2:-1}" && break
    sleep 0.1
  done
  [ -d "/proc/$JOB/fd" ] && ls -l "/proc/$JOB/fd" | grep -q "/dev/vfio/$GROUP" || because "the job was over too early: $(cat /tmp/job.log)"
}

# Waits for the job's end, at most this many seconds; its exit code is $CODE.
job_ends_within() {
  for _ in $(seq "$(($1 * 10))"); do
    if ! kill -0 "$JOB" 2>/dev/null; then
      wait "$JOB"
      CODE=$?
      cat /tmp/job.log
      return 0
    fi
    sleep 0.1
  done
  because "the job did not end within $1 s"
}

step_second() {
  start_job || return
  as_user carillon examine "$CARD" >/tmp/refusal 2>&1 && because "a second process may open the card" && return 1
  cat /tmp/refusal
  grep -q "$JOB" /tmp/refusal || because "the refusal does not name process $JOB" || return
  kill "$JOB"
  job_ends_within 10
}

step_killed() {
  start_job || return
  kill -9 "$JOB"
  job_ends_within 10 || return
  as_user carillon examine "$CARD"
}

# Linux takes the card away, as when somebody presses the button beside the slot.
step_unplugged() {
  start_job || return
  echo 1 >"/sys/bus/pci/devices/$CARD/remove" &
  job_ends_within 10 || return
  wait
  [ "$CODE" -ne 0 ] && [ "$CODE" -lt 126 ] || because "the job ended with code $CODE" || return
  grep -q "left the bus" /tmp/job.log || because "the error does not say that the card has left the bus" || return
  echo 1 >/sys/bus/pci/rescan
  find_card
  bind_card || because "the card did not come back" || return
  as_user carillon examine "$CARD"
}

# The card vanishes without notice. Last of all: it cannot come back in this guest, and the kernel waits a minute for it when the job lets it go.
step_pulled() {
  start_job || return
  echo "vm: please pull the card" >/dev/console
  for _ in $(seq 100); do
    grep -q "left the bus" /tmp/job.log && cat /tmp/job.log && return
    sleep 0.1
  done
  cat /tmp/job.log
  because "no word of it within 10 s"
}

# ---- The driver's suite ----

# Each of its tests is a result of its own.
step_suite() {
  as_user CARILLON_TEST_VFIO="$CARD" driver_on_vfio --test-threads 1 >/tmp/suite.out 2>&1
  code=$?
  sed -n 's/^test \(.*\) \.\.\. ok.*/vm: ok \1 (suite)/p' /tmp/suite.out >/dev/console
  sed 's/^test \(.*\) \.\.\. FAILED.*/FAILED \1/' /tmp/suite.out
  return "$code"
}
