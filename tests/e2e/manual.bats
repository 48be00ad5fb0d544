#!/usr/bin/env bats
# Manual and code say the same: settings, commands, metrics, examples.

load lib

setup() { make_home; }
teardown() { clean_home; }

# The settings named by .It Cm lines, which may hold several: "Cm a , b".
documented() { sed -n 's/^\.It Cm //p' "$ROOT/docs/man/calloutd.conf.5" | tr -d ' ' | tr ',' '\n' | sort -u; }

@test "every setting is in calloutd.conf(5), and the other way round" {
	diff <("$BUILD/calloutd" --settings | sed 's/.*\.//' | sort -u) <(documented | grep -v '^subscribe$\|^autotask$' | sort -u)
}

@test "every setting is in the example configuration" {
	for setting in $("$BUILD/calloutd" --settings | grep -v '\.'); do
		grep -qE "^#? *$setting *=" "$ROOT/config/calloutd.conf" || { echo "missing: $setting"; return 1; }
	done
}

@test "every command is in calloutctl(1), and the other way round" {
	diff <("$BUILD/calloutctl" --help | sed -nE 's/^  ([a-z]+( [a-z-]+)?)  .*/\1/p' | sort -u) \
		<(sed -n 's/^\.It Cm //p' "$ROOT/docs/man/calloutctl.1" | sed 's/ [A-Z].*//' | sort -u)
}

@test "every metric is documented, and the other way round" {
	conf_usual
	start_daemon
	post "$(body 1)"
	poll 5 lines 1
	diff <(curl -s --unix-socket "$ADMIN" http://x/metrics | sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' | sort -u) \
		<(grep -oE 'calloutd_[a-z_]+' "$ROOT/docs/admin-api.md" | sort -u)
}

@test "man pages are lint-clean" {
	for page in "$ROOT"/docs/man/*.[1578]; do mandoc -Tlint -Wwarning "$page"; done
}

@test "the programs answer --help and --version, and refuse what they do not know" {
	for program in calloutd calloutd-runner calloutctl; do
		"$BUILD/$program" --version | grep -q "$program"
		"$BUILD/$program" --help | grep -q usage
		run "$BUILD/$program" --nonsense
		[ "$status" = 2 ]
	done
}

# Every --help there is, one after another.
every_help() {
	local command
	for program in calloutd calloutd-runner calloutctl autotask-sim; do "$BUILD/$program" --help; done
	"$BUILD/calloutctl" webhook --help
	"$BUILD/calloutctl" --help | sed -nE 's/^  ([a-z]+( [a-z-]+)?)  .*/\1/p' | while read -r command; do
		# shellcheck disable=SC2086 # a family's command is two words
		"$BUILD/calloutctl" $command --help
	done
}

@test "no line of a --help is wider than a terminal" {
	every_help >"$T/help"
	[ "$(grep -c '^usage: ' "$T/help")" -gt 25 ]
	run awk 'length > 80' "$T/help"
	[ -z "$output" ] || { echo "$output"; return 1; }
}

@test "a wrong option shows how its command is used" {
	for line in 'tail --nonsense' 'webhook fields Ticket --nonsense'; do
		# shellcheck disable=SC2086 # two words and more
		run "$BUILD/calloutctl" $line
		[ "$status" = 2 ]
		grep -qE "^Try 'calloutctl (tail|webhook fields) --help'" <<<"$output"
	done
}
