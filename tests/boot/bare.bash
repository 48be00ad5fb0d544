# bare.bash - lib.bash's machine, but one that has never seen calloutd: nothing is installed,
# configured or enabled; the sources are in it, as from a checkout. Load it after lib.
# shellcheck shell=bash disable=SC2034 # variables are for the tests that load this

make() { :; }
configure() { :; }
booted() { inside systemctl is-active -q multi-user.target; }
eval "$(declare -f quiet_host_services | sed '1s/.*/quiet_others ()/')"
quiet_host_services() {
	quiet_others
	rm -f "$ROOTFS"/etc/systemd/system/*.wants/calloutd* "$ROOTFS/usr/sbin/policy-rc.d"
	# Where sudo is not installed: root becomes root by itself.
	[ -e "$ROOTFS/usr/bin/sudo" ] || printf '#!/bin/sh\nexec "$@"\n' >"$ROOTFS/usr/bin/sudo"
	chmod 0755 "$ROOTFS/usr/bin/sudo"
}

# cut_source DIRECTORY: the sources without anything built.
cut_source() {
	mkdir -p "$1"
	tar -C "$ROOT" --exclude=.git --exclude='./build*' -cf - . | tar -C "$1" -xf -
}
SOURCE=/usr/src/calloutd

# follow DIRECTORY: what stdin says, line by line, as an administrator's shell in the machine would run it.
follow() {
	# shellcheck disable=SC2016 # for the inner shell
	inside env -i HOME=/root USER=root LANG=C.UTF-8 TERM=dumb \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		bash -euo pipefail -c 'cd "$1" && source /dev/stdin' follow "$1"
}
# follow_file PATH: an editor's part, keeping owner and mode.
follow_file() { cat >"$ROOTFS$1"; }
