# Runs one service, and stops it when standard input ends: see lifeline.rs.
#
# usage: sh -c "$(cat lifeline.sh)" lifeline STOP_SIGNAL GRACE_SECONDS PROGRAM [ARGUMENT...]
#
# Standard input is a pipe of which only the parent has the writing end. Each line on it
# names the processes that the parent has frozen now, so that they can be thawed to stop.
# Standard output gets one line, the service's process id. Standard error is the log.
stop_signal=$1
grace=$2
shift 2

# When the parent dies, this process group is orphaned; if the service is frozen at that
# moment, the system sends the whole group SIGHUP, which must not end this script.
trap '' HUP

# The standard input of a background job is /dev/null, so the pipe moves to descriptor 3;
# the service gets neither that nor the pipe on which its process id is told.
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
service=$!

(
    frozen=
    while read -r line; do frozen=$line; done <&3
    # CONT comes second: a frozen process takes both when it thaws.
    kill -s "$stop_signal" "$service"
    kill -s CONT "$service" $frozen
    while [ "$grace" -gt 0 ] && kill -0 "$service"; do
        sleep 1
        grace=$((grace - 1))
    done
    kill -s KILL "$service"
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-

# Only now: if the parent is gone already, this is a broken pipe and the end of this script,
# and the watcher alone must do.
echo "$service"
exec >&2

wait "$service"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
