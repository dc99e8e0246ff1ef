# Prepares, ends and removes what launch.sh keeps of one command. Given to sh -c with the arguments
#
#   prepare DIR MODE LAUNCHER            tell what of started and LAUNCHER is there in DIR, or what is missing. MODE launch
#                                        makes DIR; attach asks for what was started, and again for what may have been
#   stop    DIR SECONDS                  end the processes of the command: TERM, so long after it KILL; tell whether
#                                        none is left
#   clean   DIR                          remove DIR
#   keep    DIR NAME PATH LIMIT          copy file PATH to NAME in DIR unless that was done; tell its size, or why not
#   piece   DIR NAME NUMBER              tell 512 KiB of file NAME in DIR, in base64 or hexadecimal
#
# What it tells is one word a line, the last line being "end": an answer without it is not an answer.
set -u
op=$1 dir=$2 id=${2##*/}

prepare() {
	umask 077
	if [ -d "$dir/started" ]; then
		echo started
	elif [ "$3" = launch ]; then
		# An upload makes a directory where there is none. One of ours has ready in it.
		mkdir -p "$dir/ready" || echo refused
	elif [ "$3" = attach ] || [ ! -d "$dir/ready" ]; then
		echo gone
		return
	fi
	for tool in cat dd kill ls mkdir mkfifo mv rm sleep tail tr wc; do
		command -v "$tool" >/dev/null 2>&1 || echo "missing $tool"
	done
	command -v base64 >/dev/null 2>&1 || command -v od >/dev/null 2>&1 || echo "missing base64"
	[ -f "$dir/$4" ] && echo launcher
}

# find_group sets group to the number of the command's session and process group, if that can still be told.
find_group() {
	group=none
	{ read -r pid _ started <"$dir/pid"; } 2>/dev/null || return
	case $pid:${started-} in *[!0-9:]* | :* | *: | [01]:*) return ;; esac
	if { read -r stat <"/proc/$pid/stat"; } 2>/dev/null; then
		# shellcheck disable=SC2086
		set -- ${stat##*) }
		# Another process has the number by now: there is nothing left of the group.
		[ "${20-}" = "$started" ] || return
	fi
	group=$pid
}

# members sets left to the processes of the command: those that carry its mark in their environment, those of its
# session and process group, and the children of all these. One that has shed all three is beyond reach.
members() {
	table='' left=' '
	find_group
	find_marked
	for proc in /proc/[0-9]*; do
		{ read -r stat <"$proc/stat"; } 2>/dev/null || continue
		number=${proc#/proc/}
		case $number in 1 | "$$") continue ;; esac
		# State, parent, group and session stand behind the name, which may hold anything.
		# shellcheck disable=SC2086
		set -- ${stat##*) }
		case ${1-} in Z | X | '') continue ;; esac
		table="$table $number:$2"
		case "$3 $4 $marked" in
		"$group "* | *" $group "* | *"$proc/environ"*) left="$left$number " ;;
		esac
	done
	grown=1
	while [ "$grown" = 1 ]; do
		grown=0
		for entry in $table; do
			case $left in *" ${entry%:*} "*) continue ;; esac
			case $left in *" ${entry#*:} "*) left="$left${entry%:*} " grown=1 ;; esac
		done
	done
	left=${left# }
}

# find_marked sets marked to the files of environments that have the mark. It asks for all at once: a program for each
# process would take longer than there is time, in a guest that has many or is busy.
find_marked() { marked=$(grep -lxzF "WRENN_EXEC_ID=$id" /proc/[0-9]*/environ 2>/dev/null); }
if ! printf 'a\0b\0' | grep -qxzF b 2>/dev/null; then
	find_marked() {
		marked=''
		for file in /proc/[0-9]*/environ; do
			{ tr '\0' '\n' <"$file"; } 2>/dev/null | grep -qxF "WRENN_EXEC_ID=$id" && marked="$marked $file"
		done
	}
fi

stop() {
	[ -e /proc/self/stat ] || { echo "left unknown" && return; }
	# First of all, so that what has not begun never does.
	[ -d "$dir" ] && mkdir "$dir/stopping" 2>/dev/null
	members
	# shellcheck disable=SC2086
	[ -n "$left" ] && { kill -TERM $left; kill -CONT $left; } 2>/dev/null
	tries=$(($3 * 5))
	while [ -n "$left" ] && [ "$tries" -gt 0 ]; do
		nap
		members
		tries=$((tries - 1))
	done
	tries=25
	while [ -n "$left" ] && [ "$tries" -gt 0 ]; do
		# shellcheck disable=SC2086
		kill -KILL $left 2>/dev/null
		nap
		members
		tries=$((tries - 1))
	done
	if [ -z "$left" ]; then echo ended; else echo "left $left"; fi
}

nap() { sleep 0.2 2>/dev/null || sleep 1; }

clean() {
	if { read -r follower <"$dir/follower"; } 2>/dev/null; then
		case $({ tr '\0' ' ' <"/proc/$follower/cmdline"; } 2>/dev/null) in
		*"$id "*) kill "$follower" 2>/dev/null ;;
		esac
	fi
	rm -rf -- "$dir"
	[ ! -e "$dir" ] && echo cleaned
}

keep() {
	if [ ! -f "$dir/$3" ]; then
		[ -d "$dir" ] || { echo gone && return; }
		if [ ! -e "$4" ]; then echo absent && return; fi
		if [ ! -f "$4" ]; then echo other && return; fi
		{ size=$(wc -c <"$4"); } 2>/dev/null || { echo unreadable && return; }
		[ "$size" -le "$5" ] || { echo "large $((size))" && return; }
		{ cat <"$4" >"$dir/$3.tmp" && mv "$dir/$3.tmp" "$dir/$3"; } 2>/dev/null || { echo uncopied && return; }
	fi
	echo "size $(($(wc -c <"$dir/$3")))"
}

piece() {
	[ -f "$dir/$3" ] || { echo absent && return; }
	echo "size $(($(wc -c <"$dir/$3")))"
	if [ "$(printf a | base64 2>/dev/null)" = YQ== ]; then
		echo b
		dd if="$dir/$3" bs=524288 skip="$4" count=1 2>/dev/null | base64
	else
		echo h
		dd if="$dir/$3" bs=524288 skip="$4" count=1 2>/dev/null | od -An -v -tx1 | tr -d ' '
	fi
}

case $op in
prepare) prepare "$@" ;;
stop) stop "$@" ;;
clean) clean ;;
keep) keep "$@" ;;
piece) piece "$@" ;;
esac
echo end
