# blocks.bash - code blocks cut out of the documentation, to be run as they stand.
# shellcheck shell=bash

# block HEADING N [DOCUMENT]: the N-th indented block of README.md (or another) below "## HEADING", its common indent removed.
block() {
	awk -v heading="## $1" -v wanted="$2" '
		/^## / { here = $0 == heading; next }
		!here { next }
		/^    / { if (!inside) { n++; inside = 1 }; if (n == wanted) { line[++count] = $0 }; next }
		/^ *$/ { if (inside && n == wanted) line[++count] = ""; next }
		{ inside = 0 }
		END {
			least = 99
			for (i = 1; i <= count; i++) if (match(line[i], /[^ ]/) && RSTART < least) least = RSTART
			while (count && line[count] == "") count--
			for (i = 1; i <= count; i++) print substr(line[i], least)
		}' "$ROOT/${3:-README.md}"
}

# man_block PAGE N: the N-th .Bd -literal of a manual page, as man shows it.
man_block() {
	awk -v wanted="$2" '
		/^\.Bd -literal/ { inside = ++n == wanted; next }
		/^\.Ed/ { inside = 0 }
		inside { gsub(/\\e/, "\\"); gsub(/\\\(dq/, "\""); gsub(/\\&/, ""); print }' "$ROOT/docs/man/$1"
}

# man_text PAGE: the page with its macros' escapes undone, one line of source a line.
man_text() { sed -e 's/\\(dq/"/g; s/\\(aq/'\''/g; s/\\e/\\/g; s/\\&//g' "$ROOT/docs/man/$1"; }
