#!/bin/sh
# Runs one command of a sandbox at most once, and shows what it does to whoever asks.
#
#   launch.sh launch DIR OUT ERR KEEP [FILE SIZE]...   start the command unless that was done, then follow it
#   launch.sh attach DIR OUT ERR KEEP                  follow it
#   launch.sh supervise DIR, launch.sh begin DIR ...   internal
#
# DIR is .wrenn/exec/<id>, under the home directory. OUT and ERR are the byte offsets to follow the two streams from.
# With KEEP above 0 only the last KEEP bytes that are there at each look are shown and the rest is skipped. FILE and
# SIZE are the uploaded files and their sizes: an upload that was cut short must not be run. The names have something
# behind a last dot, so that no two uploads have the same. Whoever passes the guard drops it.
#
# What is in DIR:
#   ready/               DIR was made by us. Without it, it was made anew by an upload, and the once-guard may be gone
#   started/             the once-guard: whoever makes it starts the command, and nobody else ever does
#   stopping/            the order to stop: a command that has not begun by then never begins
#   unstarted            nothing has begun: the payload removes it, once all of it is read
#   payload              what to run. It holds the environment, and is removed as it begins
#   script               the text for /bin/sh, or for a kernel, where there is one
#   stdin                what the command reads, where there is something. It is removed as the command begins
#   cell-<hash>.py       what runs a script in a kernel
#   pid                  the process of the command, and when it began
#   stdout, stderr       what the command wrote
#   stdout.open, stderr.open   what reads it from the command, as long as more may come into the file
#   exit                 how it ended, put there in one piece
#   supervisor, follower the processes of this script
#
# What is shown is one frame a line, all ASCII, since the stream does not carry bytes:
#   p PID MILLIS                  the command runs, since so long
#   o|e OFFSET b|h DATA NEXT      output, in base64 or hexadecimal. NEXT is the offset after it: what was lost or came
#                                 twice on the way shows, also where two frames ran into each other
#   h                             nothing new, still here
#   x KIND CODE MILLIS STOPPED OUT ERR   the end. KIND is exit, signal, unstarted or unknown; MILLIS how long it ran;
#                                 STOPPED is 1 if it was told to; OUT and ERR are the sizes of the streams
#   g                             there is no such command here
#   r                             an uploaded file is not complete
set -u
mode=$1 dir=$2 id=${2##*/}

frame() { printf '%s\n' "$*" || exit 0; }

# uptime sets now, in milliseconds. Unlike the time of day it never jumps.
uptime() {
	if { read -r now _ </proc/uptime; } 2>/dev/null; then
		now=${now%.*}${now#*.}0
	else
		now=$(date +%s)000
	fi
	# A leading zero would make it octal.
	while [ "$now" != 0 ] && [ "${now#0}" != "$now" ]; do now=${now#0}; done
}

# sizes sets out and err to the sizes of the streams.
sizes() {
	# shellcheck disable=SC2012,SC2046 # ls is what there is; the names are our own and sorted: stderr comes first
	set -- $(LC_ALL=C TIME_STYLE=locale ls -ln stderr stdout)
	err=$5 out=${14}
}

# nap sleeps for a part of a second, where sleep can do that.
nap() { sleep "0.$1" 2>/dev/null || sleep 1; }

# ours says whether process $1 runs this script for this command in mode $2, and is not another that got its number.
ours() {
	kill -0 "$1" 2>/dev/null || return 1
	[ -r "/proc/$1/cmdline" ] || return 0
	case $({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null) in
	*" $2 "*"$id "*) return 0 ;;
	esac
	return 1
}

# ---- running it

launch() {
	if [ ! -d started ]; then
		[ -d ready ] || { frame g && exit 0; }
		whole "$@" || { frame r && exit 0; }
	fi
	if ! mkdir started 2>/dev/null; then
		exec sh "$self" attach "$dir" "$3" "$4" "$5"
	fi
	take "$@"
	exec 3>&1
	# A pipeline, because that is the one thing a shell runs at the side without having it ignore SIGINT and SIGQUIT:
	# the command would inherit that, and a shell in it could never undo it.
	$session sh "$self" supervise "$dir" </dev/null >/dev/null 2>&1 3>&- |
		exec sh "$self" attach "$dir" "$3" "$4" "$5" </dev/null >&3 3>&-
}

# whole says whether the uploaded files have the bytes they should have.
whole() {
	shift 5
	while [ $# -gt 1 ]; do
		[ "$({ wc -c <"$1"; } 2>/dev/null || echo 0)" -eq "$2" ] || return 1
		shift 2
	done
}

# take gives the uploaded files the names that the payload knows them by.
take() {
	shift 5
	while [ $# -gt 1 ]; do
		mv -f "$1" "${1%.*}"
		shift 2
	done
}

supervise() {
	umask=$(umask)
	umask 077
	echo $$ >supervisor
	# The room for the end is taken now: the disk may be full by then.
	printf '%-127s\n' '' >exit.tmp
	: >unstarted
	for stream in stdout stderr; do
		: >"$stream"
		printf '%-15s\n' '' >"$stream.open"
	done
	# There are pipes between the command and the files, since a command that opens /dev/stderr anew would empty a file.
	# Redirected as a whole, a function would keep open what it closes, to have it back: its pipe would never end.
	channel || exit 1
	{ exec 6>&- && collect stdout; } &
	exec 5<&- 7>&6 6>&-
	channel || exit 1
	{ exec 6>&- 7>&- && collect stderr; } &
	exec 5<&- 8>&6 6>&-

	exec 2>shell
	uptime
	began=$now
	(exec $session sh "$self" begin "$dir" "$umask" "$began") </dev/null >&7 2>&8 7>&- 8>&-
	code=$?
	uptime
	exec 7>&- 8>&-
	kind='exit'
	# Above 128 the code alone is ambiguous. A shell says so on its own stderr when a signal ended its child, but for
	# SIGINT and SIGPIPE, which are left as the codes 130 and 141.
	if [ "$code" -gt 128 ] && [ -s shell ]; then
		kind=signal code=$((code - 128))
	fi
	[ -e unstarted ] && kind=unstarted
	drain
	shut
	sizes
	stopped=0
	[ -d stopping ] && stopped=1
	printf '%-127s\n' "$kind $code $((now - began)) $stopped $out $err" 1<>exit.tmp && mv exit.tmp exit
}

# channel makes a pipe whose ends are the descriptors 5 and 6. Opened both ways first, a FIFO does not block.
channel() {
	rm -f pipe
	mkfifo pipe && exec 3<>pipe 5<pipe 6>pipe 3>&- && rm pipe
}

# collect appends descriptor 5 to file $1, and removes $1.open when it does so no more. The command must not notice when that
# fails, as on a full disk, where a file can still be written over and removed.
collect() {
	cat <&5 >>"$1" &
	printf '%-15s\n' "$!" 1<>"$1.open"
	wait "$!"
	code=$?
	rm -f "$1.open"
	[ "$code" -eq 0 ] || cat <&5 >/dev/null
}

# drain waits until all that the command wrote is in the files. What it left running may keep the pipes open. Then the files
# must not have grown for a moment, or for long enough, and what the command wrote must have left the pipes. What does not get
# it out of there, on a disk that hangs, is given a minute.
drain() {
	all_out='' all_err='' still=0 last='' rounds=0
	while [ -e stdout.open ] || [ -e stderr.open ]; do
		nap 05
		sizes
		still=$((still + 1)) rounds=$((rounds + 1))
		[ "$out $err" = "$last" ] || still=0
		last="$out $err"
		[ "$rounds" -gt 1 ] || first_out=$out first_err=$err
		emptied stdout $((out - first_out)) && all_out=1
		emptied stderr $((err - first_err)) && all_err=1
		case $all_out$all_err in
		11) limit=100 ;;
		*) still=0 limit=1200 ;;
		esac
		[ "$still" -lt 5 ] && [ "$rounds" -lt "$limit" ] || return
	done
}

# shut has nothing more come into the files. What the command left running may write on, and that is dropped.
shut() {
	rounds=0
	while [ -e stdout.open ] || [ -e stderr.open ]; do
		for stream in stdout stderr; do
			{ read -r reader <"$stream.open"; } 2>/dev/null && [ -n "$reader" ] && kill -KILL "$reader" 2>/dev/null
		done
		nap 01
		rounds=$((rounds + 1))
		[ "$rounds" -lt 100 ] || return
	done
}

# emptied says whether what was in the pipe of stream $1, of which $2 bytes have come since, is in its file: more has come than
# a pipe holds, or what reads the pipe sleeps, which it does only when there is nothing to read.
emptied() {
	[ "$2" -lt 1048576 ] || return 0
	{ read -r reader <"$1.open"; } 2>/dev/null || return 0
	[ -n "$reader" ] || return 1
	{ read -r stat <"/proc/$reader/stat"; } 2>/dev/null || return 0
	case ${stat##*) } in
	[SZX]*) return 0 ;;
	esac
	return 1
}

# start_time tells, from what stat says behind the name, when a process was started: with it, a process is known again.
start_time() {
	# shellcheck disable=SC2086
	set -- $1
	echo "${20-}"
}

# begin becomes the command.
begin() {
	{ read -r stat </proc/$$/stat; } 2>/dev/null || stat=
	echo "$$ $4 $(start_time "${stat##*) }")" >pid
	# In this order: who makes stopping and then finds no pid knows that nothing will run.
	[ -d stopping ] && exit 125
	export WRENN_EXEC_ID="$id"
	umask "$3"
	cd "$home" || exit 126
	# shellcheck disable=SC1091
	. "$dir/payload"
	# It was cut short, or it would be the command by now.
	exit 125
}

# ---- following it

follow() {
	offset_o=$1 offset_e=$2 keep=$3
	[ -d started ] || { frame g && exit 0; }
	supersede
	choose_encoding
	uptime
	until=$((now + 900000)) shown='' idle=0
	while [ -d started ]; do
		ended='' moved=''
		[ -e exit ] && ended=1
		[ -z "$shown" ] && show_pid
		if [ -e stdout ] && [ -e stderr ]; then
			sizes
			show o stdout "$offset_o" "$out" && offset_o=$next
			show e stderr "$offset_e" "$err" && offset_e=$next
		fi
		if [ -n "$moved" ]; then
			idle=0
			[ "$keep" -eq 0 ] || nap 5
		elif [ -n "$ended" ]; then
			show_end
		else
			rest
		fi
		# The service ends every stream long before, and does not tell us.
		uptime
		[ "$now" -lt "$until" ] || exit 0
	done
	frame g
}

# supersede ends the follower before this one: the service does not, when a stream is lost.
supersede() {
	if { read -r old <follower; } 2>/dev/null && ours "$old" attach; then
		kill "$old" 2>/dev/null
	fi
	echo $$ >follower
}

# A block is small enough for the argument of a program, where printf is one, and a multiple of 3.
choose_encoding() {
	block=92160 coding=b
	if [ "$(printf a | base64 -w0 2>/dev/null)" = YQ== ]; then
		encode() { base64 -w0; }
	elif [ "$(printf a | base64 2>/dev/null)" = YQ== ]; then
		encode() { base64 | tr -d '\n'; }
	else
		block=61440 coding=h
		encode() { od -An -v -tx1 | tr -d ' \n'; }
	fi
}

# show sends what stream $1, in file $2 of size $4, has from offset $3 on, up to the next block, and sets next.
show() {
	[ "$3" -lt "$4" ] || return 1
	next=$3
	[ "$keep" -eq 0 ] || [ $(($4 - next)) -le "$keep" ] || next=$(($4 - keep))
	data=$(dd if="$2" bs=$block skip=$((next / block)) count=1 2>/dev/null | tail -c "+$((next % block + 1))" | encode)
	[ -n "$data" ] || return 1
	offset=$next
	case $coding$data in
	h*) next=$((next + ${#data} / 2)) ;;
	*==) next=$((next + ${#data} / 4 * 3 - 2)) ;;
	*=) next=$((next + ${#data} / 4 * 3 - 1)) ;;
	*) next=$((next + ${#data} / 4 * 3)) ;;
	esac
	frame "$1" "$offset" "$coding" "$data" "$next"
	moved=1
}

show_pid() {
	if { read -r pid began _ <pid; } 2>/dev/null; then
		uptime
		frame p "$pid" $((now - began))
		shown=1
	fi
}

show_end() {
	# shellcheck disable=SC2238
	read -r end <exit
	frame x "$end"
	exit 0
}

# rest waits, the longer the longer nothing has come, and now and then says so and sees to it that the end will come.
rest() {
	idle=$((idle + 1))
	case $idle in
	[1-4]) nap 01 ;;
	[5-9]) nap 05 ;;
	*) nap 2 ;;
	esac
	[ $((idle % 25)) -eq 0 ] || return 0
	frame h
	if { read -r supervisor <supervisor; } 2>/dev/null; then
		ours "$supervisor" supervise || [ -e exit ] || { frame x unknown 0 0 0 "$offset_o" "$offset_e" && exit 0; }
	elif [ "$idle" -ge 50 ]; then
		# Whoever won the guard died at once. Now that nothing may begin any more, that is certain.
		mkdir stopping 2>/dev/null
		[ -e pid ] || { frame x unstarted 0 0 1 0 0 && exit 0; }
	fi
}

# All is read before anything is done: the last line is there, or nothing happens.
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
home=${dir%/.wrenn/exec/*} session=
case $0 in /*) self=$0 ;; *) self=$home/$0 ;; esac
command -v setsid >/dev/null 2>&1 && session=setsid
cd "$dir" 2>/dev/null || { frame g && exit 0; }
case $mode in
launch) launch "$@" ;;
attach) follow "$3" "$4" "$5" ;;
supervise) supervise ;;
begin) begin "$@" ;;
esac
exit 0
