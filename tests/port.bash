# port.bash - for whatever tests or benchmarks start.
# shellcheck shell=bash

# A port on which nobody listens now.
free_port() {
	local port
	for _ in {1..200}; do
		port=$((20000 + RANDOM % 12000))
		ss -Hltn "sport = :$port" | grep -q . || { echo "$port"; return; }
	done
	return 1
}
