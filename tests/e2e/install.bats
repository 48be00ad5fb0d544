#!/usr/bin/env bats
# make install and uninstall: everything in its place, and nothing left behind.

load lib

setup() { make_home; }
teardown() { clean_home; }

installed() { (cd "$T/root" && find . -type f | sort); }
make_quietly() { make -s -C "$ROOT" BUILD="$BUILD" DESTDIR="$T/root" "$@" >/dev/null; }

@test "install puts programs, manuals, units and examples where PREFIX says; uninstall takes them away" {
	make_quietly PREFIX=/usr install
	for file in usr/sbin/calloutd usr/sbin/calloutd-runner usr/bin/calloutctl \
		usr/lib/systemd/system/calloutd.service usr/lib/systemd/system/calloutd-runner@.service \
		usr/lib/systemd/system/calloutd-guard.service usr/lib/systemd/system/calloutd-guard.timer \
		usr/lib/systemd/system/calloutd-guard.path usr/share/man/man8/calloutd-guard.8 \
		usr/lib/sysusers.d/calloutd.conf usr/share/man/man8/calloutd.8 \
		usr/share/man/man5/calloutd.conf.5 usr/share/man/man1/calloutctl.1 \
		usr/share/bash-completion/completions/calloutctl usr/share/doc/calloutd/calloutd.conf.example; do
		[ -s "$T/root/$file" ] || { echo "missing: $file"; return 1; }
	done
	[ "$("$T/root/usr/sbin/calloutd" --version)" = "$("$BUILD/calloutd" --version)" ]
	# Units name the places that were asked for, and nothing is left to be filled in.
	grep -q '^ExecStart=/usr/sbin/calloutd$' "$T/root/usr/lib/systemd/system/calloutd.service"
	grep -q '^ExecStart=/usr/bin/calloutctl guard ' "$T/root/usr/lib/systemd/system/calloutd-guard.service"
	never grep -rl '@[A-Z]*@' "$T/root/usr/lib"
	make_quietly PREFIX=/usr uninstall
	[ -z "$(installed)" ]
}

@test "nothing of the administrator's is touched, and no configuration comes along; PREFIX defaults to /usr/local" {
	mkdir -p "$T/root/etc/calloutd"
	echo '# mine' >"$T/root/etc/calloutd/calloutd.conf"
	make_quietly install
	[ "$(cd "$T/root/etc" && find . -type f)" = ./calloutd/calloutd.conf ]
	[ "$(cat "$T/root/etc/calloutd/calloutd.conf")" = '# mine' ]
	[ -x "$T/root/usr/local/sbin/calloutd" ]
	grep -q '^ExecStart=/usr/local/sbin/calloutd$' "$T/root/usr/local/lib/systemd/system/calloutd.service"
	make_quietly uninstall
	[ "$(installed)" = ./etc/calloutd/calloutd.conf ]
}

@test "make help names what can be asked for" {
	make -s -C "$ROOT" help >"$T/help"
	for target in all check demo install uninstall lint clean; do
		grep -qE "^ *$target " "$T/help" || { echo "missing: $target"; return 1; }
	done
}
