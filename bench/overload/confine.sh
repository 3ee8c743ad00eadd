# A part of a core for one process and its children, by a control group, as if they ran on a small machine of their own. Sourced.
# shellcheck shell=bash

# confine <name> <percent of a core> <pid...>: CONFINED is the group, for unconfine. Fails, having said why, where no group can be made.
CONFINED=
confine() {
  local group percent=$2 pid
  # In slices of 1 ms, the kernel's shortest: with longer ones a process would stand still for so long that its latency tells of
  # nothing else.
  local slice=1000 period=$((100000 / percent))
  if [ -w /sys/fs/cgroup/cpu/cpu.shares ] && group=/sys/fs/cgroup/cpu/flotilla-$$-$1 && mkdir "$group" 2>/dev/null; then  # version 1
    CONFINED=$group
    echo $period >"$group/cpu.cfs_period_us" && echo $slice >"$group/cpu.cfs_quota_us" || { unconfine; return 1; }
  elif [ -w /sys/fs/cgroup/cgroup.subtree_control ] && echo +cpu >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null &&
    group=/sys/fs/cgroup/flotilla-$$-$1 && mkdir "$group" 2>/dev/null; then  # version 2
    CONFINED=$group
    echo "$slice $period" >"$group/cpu.max" || { unconfine; return 1; }
  else
    echo "no control group for CPU can be made here (root and a writable /sys/fs/cgroup are needed)" >&2
    return 1
  fi
  shift 2
  # One that has ended meanwhile is no loss.
  for pid in "$@"; do echo "$pid" 2>/dev/null >"$group/cgroup.procs" || ! kill -0 "$pid" 2>/dev/null; done
}

# The group stays, without its limit.
set_free() {
  [ -n "$CONFINED" ] || return 0
  if [ -e "$CONFINED/cpu.max" ]; then echo max >"$CONFINED/cpu.max"; else echo -1 >"$CONFINED/cpu.cfs_quota_us"; fi
}

# Once its processes have ended.
unconfine() {
  [ -n "$CONFINED" ] || return 0
  rmdir "$CONFINED" || echo "the control group $CONFINED is left behind" >&2
  CONFINED=
}
