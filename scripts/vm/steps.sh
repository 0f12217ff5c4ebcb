# The steps of the VM gate: what the guest does with the card. Sourced by init, and by whoever works in `make vm-shell`.
# A step is a function step_NAME; it passes when it returns 0 within its time. What it prints is shown when it fails.
# Steps run as root; as_user runs a command as the unprivileged operator who owns the card's VFIO group.

# What is run when nothing is asked for.
STEPS="bound list examine validate reset memlock proof gateware second killed unplugged suite"
# On the machines measured the slowest took a third of this, under software emulation.
STEP_SECONDS=150
TEST_SECONDS=150

now() { cut -d' ' -f1 /proc/uptime; }
since() { echo "$1 $(now)" | awk '{ printf "%.2f", $2 - $1 }'; }
because() { echo "$*"; return 1; }

# Words on the kernel's command line that are meant for us: vm.probe, vm.shell, vm.steps=a,b, vm.cards=model,rtl (in the order of the slots),
# vm.suite=WORD (only tests of the suite with the word in their name), vm.repeat=N (each of them N times).
word() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p" | tr ',' ' '; }
asked() { grep -q -w "$1" /proc/cmdline; }

# All cards; those of the functional model; the first of these, which most steps use, and its VFIO group; and the first card that is gateware.
find_cards() {
  CARDS= MODELS= CARD= GATEWARE=
  kinds=$(word vm.cards)
  for device in /sys/bus/pci/devices/*; do
    [ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" = "0x10ee 0xca11 " ] || continue
    at=$(basename "$device")
    CARDS="$CARDS $at"
    case ${kinds%% *} in
      rtl*) GATEWARE=${GATEWARE:-$at} ;;
      *) MODELS="$MODELS $at" CARD=${CARD:-$at} ;;
    esac
    kinds=${kinds#* }
  done
  CARD=${CARD:-$GATEWARE}
  GROUP=$(group_of "$CARD")
  export CARDS MODELS CARD GATEWARE GROUP
}

group_of() { basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"; }

# What `carillon bind` or a udev rule does on a real machine: bind CARD.
bind() {
  [ -n "$1" ] || return 1
  echo vfio-pci >"/sys/bus/pci/devices/$1/driver_override"
  echo "$1" >/sys/bus/pci/drivers_probe
  chown operator "/dev/vfio/$(group_of "$1")"
}

# The card computes: a sum on it, checked against the CPU.
works() { as_user carillon bench msm --quiet --engine "vfio:$CARD" --log2 6; }

as_user() { su operator -c "export PATH=/bin:/opt; cd; $*"; }

# Prints what became of a command: result NAME SECONDS COMMAND... It runs in a session of its own, and all of that is killed after so
# many seconds: a program that outlived its shell would keep its card from whoever comes next.
result() {
  name=$1 limit=$2 log=/tmp/${1##*::}.log
  shift 2
  set +m
  started=$(now)
  setsid sh -c ". /steps.sh; $*" >"$log" 2>&1 &
  job=$!
  setsid sh -c "sleep $limit; kill -KILL -- -$job" >/dev/null 2>&1 &
  guard=$!
  wait "$job"
  code=$?
  kill -KILL -- "-$guard" 2>/dev/null
  wait "$guard" 2>/dev/null
  if [ "$code" = 0 ]; then
    echo "vm: ok $name ($(since "$started") s)"
    return
  fi
  why=$(grep -v '^$' "$log" | tail -n 1)
  [ "$code" = 137 ] && why="not done within $limit s"
  echo "vm: FAILED $name: $why ($(since "$started") s)"
  sed 's/^/  | /' "$log"
}

step() {
  if [ "$1" = suite ]; then suite "$2" "$3"; else result "$1" "$STEP_SECONDS" "step_$1"; fi
}

run_steps() {
  for step in ${1:-$STEPS}; do
    [ "$step" = gateware ] && [ -z "$GATEWARE" ] || step "$step"
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

# A user who may pin next to no memory: the refusal names the limit.
step_memlock() {
  ulimit -l 64
  works && because "opened with 64 KiB of locked memory" && return 1
  grep -q RLIMIT_MEMLOCK /tmp/memlock.log || because "the error does not name RLIMIT_MEMLOCK"
}

# ---- A proof ----

# The same on the gateware under Verilator, where this run has such a card.
step_gateware() { step_proof "$GATEWARE"; }

step_proof() {
  as_user "carillon setup --quiet --log2 6 --force --out key && carillon prove --key key --engine vfio:${1:-$CARD} --json --out proof >proof.json" || return
  input=$(sed -n 's/.*"public_inputs*":[^"]*"\([0-9a-f]\{64\}\)".*/\1/p' /home/operator/proof.json)
  as_user carillon verify --key key --proof proof --input "$input"
}

# ---- A card with two users, or one that ends badly ----

# A command that keeps the card at work for some ten seconds, in the background; returns a second after it has taken the card.
# Its process is $PID, its output /tmp/job.log, and the shell that waits for it $JOB.
start_job() {
  as_user exec carillon bench msm --all-dists --quiet --engine "vfio:$CARD" --log2 13 >/tmp/job.log 2>&1 &
  JOB=$!
  for _ in $(seq 100); do
    PID=$(pidof carillon)
    # Its interrupts are connected: the card is in use.
    [ -n "$PID" ] && grep -q "vfio-msix.*$CARD" /proc/interrupts && sleep 1 && break
    sleep 0.1
  done
  holds_card || because "the job was over too early: $(cat /tmp/job.log)"
}

holds_card() { ls -l "/proc/$PID/fd" 2>/dev/null | grep -q "/dev/vfio/$GROUP"; }

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
  works >/tmp/refusal 2>&1 && because "a second process may open the card" && return 1
  cat /tmp/refusal
  grep -q -w "$PID" /tmp/refusal || because "the refusal does not name process $PID" || return
  kill "$PID"
  job_ends_within 10
}

step_killed() {
  start_job || return
  kill -9 "$PID"
  job_ends_within 10 || return
  works
}

# Linux takes the card away, as when somebody presses the button beside the slot.
step_unplugged() {
  start_job || return
  echo 1 >"/sys/bus/pci/devices/$CARD/remove" &
  job_ends_within 10
  wait
  echo 1 >/sys/bus/pci/rescan
  find_cards
  bind "$CARD" || because "the card did not come back" || return
  [ -n "$CODE" ] && [ "$CODE" -ne 0 ] && [ "$CODE" -lt 126 ] || because "the job ended with code ${CODE:-none}" || return
  says_gone || because "the error does not say that the card is gone" || return
  works
}

# The card vanishes without notice. Only when asked for (--steps bound,pulled), since QEMU itself may die of it. It cannot come back in this guest, and the kernel waits a minute for it when the job lets it go.
step_pulled() {
  start_job || return
  echo "vm: please pull the card" >/dev/console
  for _ in $(seq 100); do
    says_gone && cat /tmp/job.log && return
    sleep 0.1
  done
  cat /tmp/job.log
  because "no word of it within 10 s"
}

# The job's own message, not a line of its log.
says_gone() { grep "^carillon: " /tmp/job.log | grep -q -e "left the bus" -e "does not answer"; }

# ---- The driver's suite ----

# Each of its tests is a result of its own, in a process of its own: one that hangs or dies takes no other with it.
# They mostly wait for deadlines, so there is a lane of tests on each card of the model but the last,
# which is the second card of the test with two.
# `suite WORD TIMES` runs those with the word in their name, each so many times.
suite() {
  word=${1:-$(word vm.suite)}
  times=${2:-$(word vm.repeat)}
  mkdir -p /tmp/taken
  driver_on_vfio --ignored --list | sed -n 's/: test$//p' | grep -e "${word:-.}" >/tmp/names
  for round in $(seq "${times:-1}"); do
    sed "s/\$/ $round/" /tmp/names
  done >/tmp/tests
  spare=$(echo "$MODELS" | awk '{ print $NF }')
  for card in $MODELS; do
    [ "$card" = "$spare" ] || lane "$card,$spare" &
  done
  wait
  rm -r /tmp/taken
}

# Takes tests that no other lane has taken.
lane() {
  while read -r test round; do
    mkdir "/tmp/taken/$test.$round" 2>/dev/null || continue
    shown=$test
    [ "$round" = 1 ] || shown=$test-$round
    result "suite::$shown" "$TEST_SECONDS" "as_user CARILLON_FAULTS=console CARILLON_TEST_VFIO=$1 driver_on_vfio --ignored --exact $test"
    # One line a fault, for driver/FAULTS.md.
    sed -n 's/.*\(fault {.*\)/\1/p' "$log"
  done </tmp/tests
}
