# api.bash - the operators' API by hand, for tests that hold docs/admin-api.md against the daemon. Loaded after lib.
# shellcheck shell=bash disable=SC2154 # T, ADMIN are lib.bash's

# api PATH [CURL-ARGUMENT...]: prints the status; the answer is in $T/api.
api() {
	local path=$1
	shift
	curl -s -o "$T/api" -w '%{http_code}' --max-time 60 --unix-socket "$ADMIN" "$@" "http://localhost$path"
}
# said JQ-EXPRESSION: it holds for the last answer.
said() { jq -e "$1" "$T/api" >/dev/null || { head -c 1000 "$T/api"; return 1; }; }
# refused TEXT: so the last answer's error says.
refused() { jq -e --arg text "$1" '.error | contains($text)' "$T/api" >/dev/null || { head -c 1000 "$T/api"; return 1; }; }
